-- How many rows stand behind this place of the log.
SELECT count(*) AS waiting FROM memory_system.episodes WHERE stream_seq > $1
