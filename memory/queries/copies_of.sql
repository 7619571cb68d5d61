-- Further places in the log of these events.
SELECT stream_seq
FROM memory_system.log_copies
WHERE episode_id = ANY($1::text[])
ORDER BY stream_seq
