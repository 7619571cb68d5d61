-- Which of these pass the filters of a search, as in its arms.
SELECT DISTINCT p.kind, p.owner AS id
FROM memory_system.passages AS p
WHERE
    p.owner = ANY($1::text[])
    AND (p.kind = ANY($2::text[]))
    AND ($3::text IS NULL OR p.agent_id = $3)
    AND (cardinality($4::text[]) = 0 OR p.tags @> $4)
    AND ($5::float8 IS NULL OR p.importance_score >= $5)
    AND ($6::timestamptz IS NULL OR p.timestamp >= $6)
    AND ($7::timestamptz IS NULL OR p.timestamp <= $7)
    AND ($8::timestamptz IS NULL OR p.recorded_at <= $8)
    AND ($9::bigint IS NULL OR p.stream_seq <= $9)
    AND (p.ended_seq IS NULL OR p.ended_at > $8 OR p.ended_seq > $9)
ORDER BY p.owner, p.kind
