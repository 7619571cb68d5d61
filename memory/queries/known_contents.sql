-- What is known under these event ids: its content's hash, and where it stands in the log.
SELECT episode_id, content_hash, stream_seq
FROM memory_system.episodes
WHERE episode_id = ANY($1::text[])
