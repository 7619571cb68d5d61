-- All rows of one type, in the order of the log.
SELECT stream_seq, action_details::text AS details FROM memory_system.episodes
WHERE action_type = $1
ORDER BY stream_seq
