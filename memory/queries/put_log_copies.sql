-- Places in the log that hold a known event once more.
INSERT INTO memory_system.log_copies (stream_seq, episode_id)
SELECT asked.stream_seq, asked.episode_id
FROM unnest($1::bigint[], $2::text[]) AS asked (stream_seq, episode_id)
JOIN memory_system.episodes AS e ON e.episode_id = asked.episode_id AND e.stream_seq <> asked.stream_seq
ON CONFLICT (stream_seq) DO NOTHING
