-- What waits for its vector, the urgent first, then the oldest.
SELECT q.urgency, q.id, e.episode_id, e.content, e.labels
FROM memory_system.unembedded_episodes AS q
JOIN memory_system.episodes AS e ON e.id = q.id
ORDER BY q.urgency, q.id
LIMIT $1
