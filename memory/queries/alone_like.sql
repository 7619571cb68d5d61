-- What was looked at, was like nothing then, and has one of these terms: the latest.
SELECT
    e.episode_id, e.agent_id, e.timestamp, e.action_type, e.session_id, e.action_details ->> 'outcome' AS outcome,
    left(memory_system.said(e.action_details, e.content), $4) AS text,
    memory_system.links(e.cross_reference, e.action_details) AS links
FROM memory_system.unconsolidated AS q
JOIN memory_system.episodes AS e ON e.id = q.id
WHERE
    q.examined
    AND q.key_terms && $1::text[]
    AND ($2::text IS NULL OR e.agent_id = $2)
    AND ($3::timestamptz IS NULL OR e.timestamp >= $3)
ORDER BY e.timestamp DESC, e.id DESC
LIMIT $5
