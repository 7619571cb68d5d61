-- What waits and has not been looked at: of the 20,000 that wait longest, what is most important still goes first.
WITH waiting AS (
    SELECT q.id
    FROM memory_system.unconsolidated AS q
    JOIN memory_system.episodes AS e ON e.id = q.id
    WHERE
        NOT q.examined
        AND ($1::text IS NULL OR e.agent_id = $1)
        AND ($2::timestamptz IS NULL OR e.timestamp >= $2)
    ORDER BY q.id
    LIMIT 20000
)
SELECT
    e.episode_id, e.agent_id, e.timestamp, e.action_type, e.session_id, e.action_details ->> 'outcome' AS outcome,
    left(memory_system.said(e.action_details, e.content), $4) AS text,
    memory_system.links(e.cross_reference, e.action_details) AS links
FROM waiting
JOIN memory_system.episodes AS e ON e.id = waiting.id
LEFT JOIN memory_system.recalls AS r ON r.episode_id = e.episode_id
ORDER BY memory_system.retained(e.importance_score, e.timestamp, r.recalls, r.last_at, $3::timestamptz) DESC, e.stream_seq
LIMIT $5
