-- Concepts that rest on any of these events, and the concept of this id.
SELECT id::text AS id, concept, content, knowledge_type, confidence_score, source_episodes
FROM memory_system.semantic_memory
WHERE source_episodes && $1::text[] OR id::text = $2
ORDER BY id
