-- A new concept, learned when the log was persisted so far.
INSERT INTO memory_system.semantic_memory (id, concept, content, knowledge_type, confidence_score, source_episodes, log_position)
VALUES (
    $1::uuid, $2, $3, $4, $5, $6::text[],
    coalesce((SELECT p.stream_seq FROM memory_system.consumer_position AS p WHERE p.consumer = $7), 0)
)
RETURNING id::text AS id, concept, content, knowledge_type, confidence_score, source_episodes, created_at, log_position
