-- Versions of concepts, each of another one: those before end, and their passages too. semantic_memory follows.
WITH asked AS (
    SELECT
        id, seq, at, event_id, concept, content, knowledge_type, confidence_score, origin, run, statements,
        ARRAY(SELECT jsonb_array_elements_text(source_episodes)) AS source_episodes,
        ARRAY(SELECT jsonb_array_elements_text(consolidated)) AS consolidated,
        ARRAY(SELECT jsonb_array_elements_text(contradicts)) AS contradicts,
        ARRAY(SELECT jsonb_array_elements_text(key_terms)) AS key_terms
    FROM unnest(
        $1::uuid[], $2::bigint[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::float8[], $9::text[], $10::text[],
        $11::jsonb[], $12::jsonb[], $13::jsonb[], $14::jsonb[], $15::jsonb[]
    ) AS asked (
        id, seq, at, event_id, concept, content, knowledge_type, confidence_score, origin, run, source_episodes, consolidated, contradicts,
        statements, key_terms
    )
),
before AS (
    UPDATE memory_system.concept_versions AS v
    SET ended_seq = asked.seq, ended_at = asked.at
    FROM asked
    WHERE v.id = asked.id AND v.ended_seq IS NULL
    RETURNING v.id, v.version, v.created_at
),
unsearched AS (
    UPDATE memory_system.passages AS p
    SET ended_seq = asked.seq, ended_at = asked.at
    FROM asked
    WHERE p.owner = asked.id::text AND p.kind = 'concept' AND p.ended_seq IS NULL
)
INSERT INTO memory_system.concept_versions (
    id, version, event_id, concept, content, knowledge_type, confidence_score, source_episodes, consolidated, origin, run, contradicts,
    statements, key_terms, created_at, updated_at, log_position
)
SELECT
    asked.id, coalesce(before.version, 0) + 1, asked.event_id, asked.concept, asked.content, asked.knowledge_type, asked.confidence_score,
    asked.source_episodes, asked.consolidated, asked.origin, asked.run, asked.contradicts, asked.statements, asked.key_terms,
    coalesce(before.created_at, asked.at), asked.at, asked.seq
FROM asked
LEFT JOIN before USING (id)
