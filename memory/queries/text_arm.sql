-- The text arm: everything that has any term of the question, best first.
SELECT kind, id
FROM (
    SELECT e.kind, e.episode_id AS id, e.timestamp AS moment, ts_rank(e.search_terms, memory_system.any_term($1), 1) AS rank
    FROM memory_system.episodes AS e
    WHERE
        e.search_terms @@ memory_system.any_term($1)
        AND (e.kind = ANY($2::text[]))
        AND ($3::text IS NULL OR e.agent_id = $3)
        AND (cardinality($4::text[]) = 0 OR e.tags @> $4)
        AND ($5::float8 IS NULL OR e.importance_score >= $5)
        AND ($6::timestamptz IS NULL OR e.timestamp >= $6)
        AND ($7::timestamptz IS NULL OR e.timestamp <= $7)
        AND ($8::timestamptz IS NULL OR e.recorded_at <= $8)
        AND ($9::bigint IS NULL OR e.stream_seq <= $9)
    UNION ALL
    SELECT 'concept', c.id::text, c.created_at, ts_rank(c.search_terms, memory_system.any_term($1), 1)
    FROM memory_system.semantic_memory AS c
    WHERE
        c.search_terms @@ memory_system.any_term($1)
        AND ('concept' = ANY($2::text[]))
        AND ($3::text IS NULL)
        AND (cardinality($4::text[]) = 0)
        AND ($5::float8 IS NULL OR c.confidence_score >= $5)
        AND ($6::timestamptz IS NULL OR c.created_at >= $6)
        AND ($7::timestamptz IS NULL OR c.created_at <= $7)
        AND ($8::timestamptz IS NULL OR c.created_at <= $8)
        AND ($9::bigint IS NULL OR c.log_position <= $9)
) AS found
ORDER BY rank DESC, moment DESC, id
LIMIT $10
