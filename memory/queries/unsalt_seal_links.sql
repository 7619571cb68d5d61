-- What was forgotten leaves its digest, which says nothing without its salt.
UPDATE memory_system.seal_links SET salt = NULL
WHERE stream_seq = ANY($1::bigint[])
