-- What stands at most $2 places before or after each of these in the same session of the same agent, and passes the filters.
-- Echoes (without content) are nobody's neighbours.
WITH sources AS MATERIALIZED (
    SELECT p.id, p.kind, p.owner, p.agent_id, p.session_id, p.timestamp
    FROM memory_system.passages AS p
    WHERE p.owner = ANY($1::text[]) AND p.part = 0 AND p.kind <> 'concept' AND p.session_id IS NOT NULL
),
near AS MATERIALIZED (
    SELECT s.kind AS source_kind, s.owner AS source, n.*
    FROM sources AS s
    CROSS JOIN LATERAL (
        (
        SELECT p.*, row_number() OVER (ORDER BY p.timestamp DESC, p.id DESC) AS distance
        FROM memory_system.passages AS p
        WHERE
            p.agent_id = s.agent_id AND p.session_id = s.session_id AND p.part = 0 AND p.content <> ''
            AND (p.timestamp, p.id) < (s.timestamp, s.id)
            AND ($9::timestamptz IS NULL OR p.recorded_at <= $9)
            AND ($10::bigint IS NULL OR p.stream_seq <= $10)
        ORDER BY p.timestamp DESC, p.id DESC
        LIMIT $2
        )
        UNION ALL
        (
        SELECT p.*, row_number() OVER (ORDER BY p.timestamp, p.id) AS distance
        FROM memory_system.passages AS p
        WHERE
            p.agent_id = s.agent_id AND p.session_id = s.session_id AND p.part = 0 AND p.content <> ''
            AND (p.timestamp, p.id) > (s.timestamp, s.id)
            AND ($9::timestamptz IS NULL OR p.recorded_at <= $9)
            AND ($10::bigint IS NULL OR p.stream_seq <= $10)
        ORDER BY p.timestamp, p.id
        LIMIT $2
        )
    ) AS n
),
lengths AS MATERIALIZED (
    SELECT p.owner, sum(length(p.search_terms))::integer AS terms
    FROM memory_system.passages AS p
    WHERE p.owner IN (SELECT owner FROM near) AND p.kind <> 'concept'
    GROUP BY p.owner
)
SELECT n.source_kind, n.source, n.kind, n.owner, n.distance::integer AS distance, lengths.terms
FROM near AS n
JOIN lengths USING (owner)
WHERE
    (n.kind = ANY($3::text[]))
    AND ($4::text IS NULL OR n.agent_id = $4)
    AND (cardinality($5::text[]) = 0 OR n.tags @> $5)
    AND ($6::float8 IS NULL OR n.importance_score >= $6)
    AND ($7::timestamptz IS NULL OR n.timestamp >= $7)
    AND ($8::timestamptz IS NULL OR n.timestamp <= $8)
ORDER BY n.source, n.distance, n.id
