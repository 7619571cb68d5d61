-- Concepts that wait for their vector.
SELECT id, concept, content
FROM memory_system.semantic_memory
WHERE embedding IS NULL
ORDER BY id
LIMIT $1
