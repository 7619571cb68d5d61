-- Concepts by their ids, as they are or as they were at a time or a log position.
SELECT
    id::text AS id, version, concept, content, knowledge_type, confidence_score, source_episodes, origin, contradicts, statements,
    created_at, updated_at, log_position
FROM memory_system.concept_versions
WHERE
    id = ANY($1::uuid[])
    AND ($2::timestamptz IS NULL OR updated_at <= $2)
    AND ($3::bigint IS NULL OR log_position <= $3)
    AND (ended_seq IS NULL OR ended_at > $2 OR ended_seq > $3)
