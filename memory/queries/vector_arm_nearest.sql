-- The vector arm by its index: the nearest that pass the filters.
SELECT id, kind, owner, 1 - distance AS score
FROM (
    SELECT p.id, p.kind, p.owner, v.embedding::halfvec({dimensions}) <=> $1::halfvec({dimensions}) AS distance
    FROM memory_system.vectors AS v
    JOIN memory_system.passages AS p ON p.id = v.passage
    WHERE
        v.space = {space}
        AND (p.kind = ANY($2::text[]))
        AND ($3::text IS NULL OR p.agent_id = $3)
        AND (cardinality($4::text[]) = 0 OR p.tags @> $4)
        AND ($5::float8 IS NULL OR p.importance_score >= $5)
        AND ($6::timestamptz IS NULL OR p.timestamp >= $6)
        AND ($7::timestamptz IS NULL OR p.timestamp <= $7)
        AND ($8::timestamptz IS NULL OR p.recorded_at <= $8)
        AND ($9::bigint IS NULL OR p.stream_seq <= $9)
        AND (p.ended_seq IS NULL OR p.ended_at > $8 OR p.ended_seq > $9)
    ORDER BY v.embedding::halfvec({dimensions}) <=> $1::halfvec({dimensions})
    LIMIT $10
) AS near
ORDER BY distance, id DESC
