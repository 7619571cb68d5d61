-- Recalls more, of episodes that are still there.
INSERT INTO memory_system.recalls AS known (episode_id, recalls, last_at)
SELECT asked.episode_id, asked.recalls, $3
FROM unnest($1::text[], $2::bigint[]) AS asked (episode_id, recalls)
JOIN memory_system.episodes AS e ON e.episode_id = asked.episode_id
ORDER BY asked.episode_id
ON CONFLICT (episode_id) DO UPDATE SET
    recalls = known.recalls + excluded.recalls,
    last_at = greatest(known.last_at, excluded.last_at)
