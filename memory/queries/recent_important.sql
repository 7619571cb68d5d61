-- The most recent important episodes among the latest $3 of an agent.
SELECT episode_id
FROM (
    SELECT id, episode_id, timestamp, importance_score
    FROM memory_system.episodes
    WHERE agent_id = $1
    ORDER BY timestamp DESC, id DESC
    LIMIT $3
) AS latest
WHERE importance_score >= $2
ORDER BY timestamp DESC, id DESC
LIMIT $4
