-- These places are empty now.
DELETE FROM memory_system.late_places
WHERE stream_seq = ANY($1::bigint[])
