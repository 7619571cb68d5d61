-- A version of a concept: the one before ends, and semantic_memory holds the new one.
WITH before AS (
    UPDATE memory_system.concept_versions
    SET ended_seq = $2, ended_at = $3
    WHERE id = $1::uuid AND ended_seq IS NULL
    RETURNING version, created_at
),
formed AS (
    INSERT INTO memory_system.concept_versions (
        id, version, event_id, concept, content, knowledge_type, confidence_score, source_episodes, origin, run, contradicts, statements,
        key_terms, created_at, updated_at, log_position
    )
    VALUES (
        $1::uuid, coalesce((SELECT b.version FROM before AS b), 0) + 1, $4, $5, $6, $7, $8, $9::text[], $10, $11, $12::text[], $13::jsonb,
        $14::text[], coalesce((SELECT b.created_at FROM before AS b), $3), $3, $2
    )
    RETURNING *
)
INSERT INTO memory_system.semantic_memory (
    id, version, event_id, concept, content, knowledge_type, confidence_score, source_episodes, origin, run, contradicts, statements,
    key_terms, created_at, updated_at, log_position
)
SELECT
    id, version, event_id, concept, content, knowledge_type, confidence_score, source_episodes, origin, run, contradicts, statements,
    key_terms, created_at, updated_at, log_position
FROM formed
ON CONFLICT (id) DO UPDATE SET
    version = excluded.version,
    event_id = excluded.event_id,
    concept = excluded.concept,
    content = excluded.content,
    embedding = NULL,
    knowledge_type = excluded.knowledge_type,
    confidence_score = excluded.confidence_score,
    source_episodes = excluded.source_episodes,
    origin = excluded.origin,
    run = excluded.run,
    contradicts = excluded.contradicts,
    statements = excluded.statements,
    key_terms = excluded.key_terms,
    updated_at = excluded.updated_at,
    log_position = excluded.log_position
