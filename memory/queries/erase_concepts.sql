-- Concepts as they were known before an entry of the log.
DELETE FROM memory_system.semantic_memory
WHERE id = ANY($1::uuid[]) AND log_position < $2
