-- What waits for consolidation.
INSERT INTO memory_system.unconsolidated (id)
SELECT id FROM memory_system.episodes WHERE episode_id = ANY($1::text[])
