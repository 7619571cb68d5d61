-- Places that hold what was forgotten before.
INSERT INTO memory_system.late_places (stream_seq)
SELECT DISTINCT stream_seq
FROM unnest($1::bigint[]) AS asked (stream_seq)
ON CONFLICT (stream_seq) DO NOTHING
