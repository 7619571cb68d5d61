-- How many passages the vector arm would have to compare, counted up to a limit.
SELECT count(*) AS candidates
FROM (
    SELECT
    FROM memory_system.passages AS p
    WHERE
        (p.kind = ANY($1::text[]))
        AND ($2::text IS NULL OR p.agent_id = $2)
        AND (cardinality($3::text[]) = 0 OR p.tags @> $3)
        AND ($4::float8 IS NULL OR p.importance_score >= $4)
        AND ($5::timestamptz IS NULL OR p.timestamp >= $5)
        AND ($6::timestamptz IS NULL OR p.timestamp <= $6)
        AND ($7::timestamptz IS NULL OR p.recorded_at <= $7)
        AND ($8::bigint IS NULL OR p.stream_seq <= $8)
        AND (p.ended_seq IS NULL OR p.ended_at > $7 OR p.ended_seq > $8)
    LIMIT $9
) AS found
