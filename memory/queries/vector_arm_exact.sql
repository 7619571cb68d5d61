-- The vector arm, exact: every candidate's vector is compared.
WITH candidates AS MATERIALIZED (
    SELECT p.id, p.kind, p.owner, v.embedding <=> $1::halfvec AS distance
    FROM memory_system.passages AS p
    JOIN memory_system.vectors AS v ON v.passage = p.id AND v.space = $11
    WHERE
        (p.kind = ANY($2::text[]))
        AND ($3::text IS NULL OR p.agent_id = $3)
        AND (cardinality($4::text[]) = 0 OR p.tags @> $4)
        AND ($5::float8 IS NULL OR p.importance_score >= $5)
        AND ($6::timestamptz IS NULL OR p.timestamp >= $6)
        AND ($7::timestamptz IS NULL OR p.timestamp <= $7)
        AND ($8::timestamptz IS NULL OR p.recorded_at <= $8)
        AND ($9::bigint IS NULL OR p.stream_seq <= $9)
        AND (p.ended_seq IS NULL OR p.ended_at > $8 OR p.ended_seq > $9)
)
SELECT id, kind, owner, 1 - distance AS score
FROM candidates
ORDER BY distance, id DESC
LIMIT $10
