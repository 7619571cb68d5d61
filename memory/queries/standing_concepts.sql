-- Concepts as they stand, and the words in which somebody told them.
SELECT
    c.id::text AS id, c.version, c.concept, c.content, c.knowledge_type, c.origin, c.source_episodes, c.statements,
    t.content AS told, t.confidence_score AS told_confidence
FROM memory_system.semantic_memory AS c
LEFT JOIN LATERAL (
    SELECT v.content, v.confidence_score
    FROM memory_system.concept_versions AS v
    WHERE v.id = c.id AND v.origin = 'told'
    ORDER BY v.version DESC
    LIMIT 1
) AS t ON true
WHERE c.id = ANY($1::text[]::uuid[])
ORDER BY c.id
