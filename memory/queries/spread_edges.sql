-- The edges up to two steps away from these ids, the newest of each node, known by a time and a place in the log.
WITH seeds AS (
    SELECT DISTINCT id FROM unnest($1::text[]) AS seeds (id)
),
near AS MATERIALIZED (
    SELECT e.source, e.kind, e.target
    FROM seeds
    CROSS JOIN LATERAL (
        (SELECT source, kind, target FROM memory_system.edges
        WHERE
            source = seeds.id AND target_kind IS DISTINCT FROM 'agent'
            AND ($4::timestamptz IS NULL OR recorded_at <= $4) AND ($5::bigint IS NULL OR stream_seq <= $5)
        ORDER BY stream_seq DESC LIMIT $2)
        UNION ALL
        (SELECT source, kind, target FROM memory_system.edges
        WHERE
            target = seeds.id AND source_kind IS DISTINCT FROM 'agent'
            AND ($4::timestamptz IS NULL OR recorded_at <= $4) AND ($5::bigint IS NULL OR stream_seq <= $5)
        ORDER BY stream_seq DESC LIMIT $2)
    ) AS e
),
met AS (
    (SELECT source AS id FROM near UNION SELECT target FROM near)
    EXCEPT SELECT id FROM seeds
    ORDER BY id LIMIT $3
),
far AS (
    SELECT e.source, e.kind, e.target
    FROM met
    CROSS JOIN LATERAL (
        (SELECT source, kind, target FROM memory_system.edges
        WHERE
            source = met.id AND target_kind IS DISTINCT FROM 'agent'
            AND ($4::timestamptz IS NULL OR recorded_at <= $4) AND ($5::bigint IS NULL OR stream_seq <= $5)
        ORDER BY stream_seq DESC LIMIT $2)
        UNION ALL
        (SELECT source, kind, target FROM memory_system.edges
        WHERE
            target = met.id AND source_kind IS DISTINCT FROM 'agent'
            AND ($4::timestamptz IS NULL OR recorded_at <= $4) AND ($5::bigint IS NULL OR stream_seq <= $5)
        ORDER BY stream_seq DESC LIMIT $2)
    ) AS e
)
SELECT DISTINCT source, kind, target
FROM (SELECT * FROM near UNION ALL SELECT * FROM far) AS found
WHERE source <> target
ORDER BY source, kind, target
LIMIT $3
