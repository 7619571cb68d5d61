-- What stands at most $2 places before or after the owners of these passages, in the same session of the same agent, and passes
-- the filters. Echoes (without content) are nobody's neighbours. All passages of a text have its time, and the first speaks for it.
-- Where an agent has as many passages as texts, each text is one passage, and none is counted.
SELECT
    s.id AS source, n.kind, n.owner, n.distance,
    n.terms * CASE
        WHEN s.agent_id IN (SELECT agent_id FROM memory_system.corpora WHERE passages > texts)
            THEN (SELECT count(*) FROM memory_system.passages AS part WHERE part.owner = n.owner)
        ELSE 1
    END AS terms
FROM unnest($1::bigint[]) AS asked (id)
JOIN memory_system.passages AS s ON s.id = asked.id
CROSS JOIN LATERAL (
    (
    SELECT
        p.kind, p.owner, row_number() OVER (ORDER BY p.timestamp DESC, p.id DESC) AS distance, length(p.search_terms) AS terms,
        p.tags, p.importance_score, p.timestamp
    FROM memory_system.passages AS p
    WHERE
        p.agent_id = s.agent_id AND p.session_id = s.session_id AND p.part = 0 AND p.content <> '' AND p.owner <> s.owner
        AND (p.timestamp, p.id) < (s.timestamp, s.id)
        AND ($9::timestamptz IS NULL OR p.recorded_at <= $9)
        AND ($10::bigint IS NULL OR p.stream_seq <= $10)
    ORDER BY p.timestamp DESC, p.id DESC
    LIMIT $2
    )
    UNION ALL
    (
    SELECT
        p.kind, p.owner, row_number() OVER (ORDER BY p.timestamp, p.id), length(p.search_terms),
        p.tags, p.importance_score, p.timestamp
    FROM memory_system.passages AS p
    WHERE
        p.agent_id = s.agent_id AND p.session_id = s.session_id AND p.part = 0 AND p.content <> '' AND p.owner <> s.owner
        AND (p.timestamp, p.id) > (s.timestamp, s.id)
        AND ($9::timestamptz IS NULL OR p.recorded_at <= $9)
        AND ($10::bigint IS NULL OR p.stream_seq <= $10)
    ORDER BY p.timestamp, p.id
    LIMIT $2
    )
) AS n
WHERE
    (n.kind = ANY($3::text[]))
    AND ($4::text IS NULL OR s.agent_id = $4)
    AND (cardinality($5::text[]) = 0 OR n.tags @> $5)
    AND ($6::float8 IS NULL OR n.importance_score >= $6)
    AND ($7::timestamptz IS NULL OR n.timestamp >= $7)
    AND ($8::timestamptz IS NULL OR n.timestamp <= $8)
ORDER BY s.id, n.distance, n.owner
