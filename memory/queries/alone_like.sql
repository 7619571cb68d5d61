-- What was looked at, was like nothing then, and has one of these terms: of each term the latest, and of those, what has most of them.
-- `+ 0`: in the order of the key, a term that nothing has would be sought in every row.
WITH met AS (
    SELECT found.id, count(*) AS terms
    FROM unnest($1::text[]) AS asked (term)
    CROSS JOIN LATERAL (
        SELECT q.id
        FROM memory_system.unconsolidated AS q
        JOIN memory_system.episodes AS e ON e.id = q.id
        WHERE
            q.examined
            AND q.key_terms @> ARRAY[asked.term]
            AND ($2::text IS NULL OR e.agent_id = $2)
            AND ($3::timestamptz IS NULL OR e.timestamp >= $3)
        ORDER BY q.id + 0 DESC
        LIMIT 16
    ) AS found
    GROUP BY found.id
    ORDER BY terms DESC, found.id DESC
    LIMIT $5
)
SELECT
    e.episode_id, e.agent_id, e.timestamp, e.action_type, e.session_id, e.action_details ->> 'outcome' AS outcome,
    left(memory_system.said(e.action_details, e.content), $4) AS text,
    memory_system.links(e.cross_reference, e.action_details) AS links
FROM met
JOIN memory_system.episodes AS e ON e.id = met.id
ORDER BY e.id
