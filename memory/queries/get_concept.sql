-- One concept by its id.
SELECT id::text AS id, concept, content, knowledge_type, confidence_score, source_episodes, created_at
FROM memory_system.semantic_memory
WHERE id = $1::uuid
