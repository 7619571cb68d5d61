-- Until this transaction ends, none of the rows in these places of the log is deleted.
SELECT FROM memory_system.episodes
WHERE stream_seq > $1 AND stream_seq <= $2
FOR KEY SHARE
