-- The newest edges at each of these nodes, in both directions.
SELECT near.id AS near, e.source, e.kind, e.target, e.stream_seq
FROM unnest($1::text[]) AS near (id)
CROSS JOIN LATERAL (
    (SELECT source, kind, target, stream_seq FROM memory_system.edges WHERE source = near.id ORDER BY stream_seq DESC LIMIT $2)
    UNION ALL
    (SELECT source, kind, target, stream_seq FROM memory_system.edges WHERE target = near.id ORDER BY stream_seq DESC LIMIT $2)
) AS e
LIMIT $3
