-- Places that hold what was forgotten before.
SELECT stream_seq
FROM memory_system.late_places
ORDER BY stream_seq
LIMIT $1
