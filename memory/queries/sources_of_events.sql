-- What may cite other events: protocol events, lessons, and those with a cross reference.
SELECT id, episode_id, action_details::text AS details, cross_reference::text AS cross_reference
FROM memory_system.episodes
WHERE (kind = 'lesson' OR action_type = ANY($1::text[]) OR cross_reference IS NOT NULL) AND id > $2
ORDER BY id
LIMIT $3
