-- How many episodes the vector arm would have to compare, counted up to a limit.
SELECT count(*) AS candidates
FROM (
    SELECT
    FROM memory_system.episodes AS e
    WHERE
        (e.kind = ANY($1::text[]))
        AND ($2::text IS NULL OR e.agent_id = $2)
        AND (cardinality($3::text[]) = 0 OR e.tags @> $3)
        AND ($4::float8 IS NULL OR e.importance_score >= $4)
        AND ($5::timestamptz IS NULL OR e.timestamp >= $5)
        AND ($6::timestamptz IS NULL OR e.timestamp <= $6)
        AND ($7::timestamptz IS NULL OR e.recorded_at <= $7)
        AND ($8::bigint IS NULL OR e.stream_seq <= $8)
    LIMIT $9
) AS found
