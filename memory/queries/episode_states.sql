-- Which of these events are persisted, and which have a vector too.
SELECT e.episode_id, EXISTS (SELECT FROM memory_system.episode_embeddings AS v WHERE v.id = e.id) AS embedded
FROM memory_system.episodes AS e
WHERE e.episode_id = ANY($1::text[])
