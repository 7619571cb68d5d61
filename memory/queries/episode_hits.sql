-- What a search shows of episodes and lessons.
SELECT episode_id, kind, agent_id, timestamp, action_type, content, action_details, tags, importance_score
FROM memory_system.episodes
WHERE episode_id = ANY($1::text[])
