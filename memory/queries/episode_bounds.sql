-- The places in the log of the oldest and the latest episode, and the latest one's event id.
SELECT bounds.oldest, bounds.latest, e.episode_id AS latest_id
FROM (SELECT min(stream_seq) AS oldest, max(stream_seq) AS latest FROM memory_system.episodes) AS bounds
JOIN memory_system.episodes AS e ON e.stream_seq = bounds.latest
