-- Concepts, newest first, from a place on; with a question, those that have any of its terms.
SELECT
    id::text AS id, version, concept, content, knowledge_type, confidence_score, source_episodes, origin, contradicts, created_at, updated_at
FROM memory_system.semantic_memory
WHERE
    ($1::text IS NULL OR search_terms @@ memory_system.any_term($1))
    AND ($2::text IS NULL OR knowledge_type = $2)
    AND ($3::float8 IS NULL OR confidence_score >= $3)
    AND ($4::timestamptz IS NULL OR (created_at, id) < ($4, $5::uuid))
ORDER BY created_at DESC, id DESC
LIMIT $6
