-- The vector arm by its index: the nearest that pass the filters. Concepts are few and compared one by one.
SELECT kind, id
FROM (
    (
    SELECT e.kind, e.episode_id AS id, v.embedding::halfvec({dimensions}) <=> $1::halfvec({dimensions}) AS distance
    FROM memory_system.episode_embeddings AS v
    JOIN memory_system.episodes AS e ON e.id = v.id
    WHERE
        (e.kind = ANY($2::text[]))
        AND ($3::text IS NULL OR e.agent_id = $3)
        AND (cardinality($4::text[]) = 0 OR e.tags @> $4)
        AND ($5::float8 IS NULL OR e.importance_score >= $5)
        AND ($6::timestamptz IS NULL OR e.timestamp >= $6)
        AND ($7::timestamptz IS NULL OR e.timestamp <= $7)
        AND ($8::timestamptz IS NULL OR e.recorded_at <= $8)
        AND ($9::bigint IS NULL OR e.stream_seq <= $9)
    ORDER BY v.embedding::halfvec({dimensions}) <=> $1::halfvec({dimensions})
    LIMIT $10
    )
    UNION ALL
    SELECT 'concept', c.id::text, c.embedding::halfvec({dimensions}) <=> $1::halfvec({dimensions})
    FROM memory_system.semantic_memory AS c
    WHERE
        c.embedding IS NOT NULL
        AND ('concept' = ANY($2::text[]))
        AND ($3::text IS NULL)
        AND (cardinality($4::text[]) = 0)
        AND ($5::float8 IS NULL OR c.confidence_score >= $5)
        AND ($6::timestamptz IS NULL OR c.created_at >= $6)
        AND ($7::timestamptz IS NULL OR c.created_at <= $7)
        AND ($8::timestamptz IS NULL OR c.created_at <= $8)
        AND ($9::bigint IS NULL OR c.log_position <= $9)
) AS found
ORDER BY distance, id
LIMIT $10
