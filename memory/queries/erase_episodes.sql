-- Forgotten events, gone.
DELETE FROM memory_system.episodes
WHERE episode_id = ANY($1::text[])
