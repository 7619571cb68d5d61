-- Passages in their order, and their places in the queue of those that get a vector.
WITH asked AS (
    SELECT *
    FROM unnest(
        $1::text[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::float8[], $10::jsonb[],
        $11::bigint[], $12::timestamptz[], $13::smallint[]
    ) WITH ORDINALITY AS asked (
        kind, owner, part, content, labels, agent_id, session_id, timestamp, importance_score, tags, stream_seq, recorded_at, urgency, place
    )
),
taken AS (
    INSERT INTO memory_system.passages (
        kind, owner, part, content, labels, agent_id, session_id, timestamp, importance_score, tags, stream_seq, recorded_at
    )
    SELECT
        kind, owner, part, content, labels, agent_id, session_id, timestamp, importance_score,
        ARRAY(SELECT jsonb_array_elements_text(tags)), stream_seq, recorded_at
    FROM asked
    ORDER BY place
    RETURNING id, owner, stream_seq, part
)
INSERT INTO memory_system.unembedded (urgency, passage)
SELECT asked.urgency, taken.id
FROM taken
JOIN asked USING (owner, stream_seq, part)
WHERE asked.urgency IS NOT NULL
