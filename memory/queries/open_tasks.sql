-- What an agent was assigned and may still bring to its end, the oldest first, each with the last handoff packet about it.
SELECT
    t.task_id, t.fence, t.assigned_at,
    coalesce(s.action_details ->> 'title', '') AS title,
    coalesce(s.action_details -> 'input', '{}') AS input,
    handoff.handoff_packet
FROM memory_system.tasks AS t
LEFT JOIN memory_system.episodes AS s ON s.episode_id = t.submission
LEFT JOIN LATERAL (
    SELECT h.handoff_packet
    FROM memory_system.edges AS m
    JOIN memory_system.episodes AS h ON h.episode_id = m.source
    WHERE m.target = t.task_id AND m.kind IN ('mentions', 'cross_reference') AND h.handoff_packet IS NOT NULL
    ORDER BY m.stream_seq DESC
    LIMIT 1
) AS handoff ON true
WHERE t.agent_id = $1 AND t.expires_at > now()
ORDER BY t.assigned_seq
LIMIT $2
