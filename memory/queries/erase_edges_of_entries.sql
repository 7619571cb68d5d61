-- Edges that forgotten entries drew.
DELETE FROM memory_system.edges
WHERE stream_seq = ANY($1::bigint[])
