-- The events that told these concepts.
SELECT episode_id, kind, subject, stream_seq
FROM memory_system.episodes
WHERE action_type = $1 AND subject = ANY($2::text[])
ORDER BY stream_seq
