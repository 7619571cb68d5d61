-- Those of these entries that were rows before.
SELECT stream_seq FROM kept_places WHERE stream_seq = ANY($1::bigint[])
ORDER BY stream_seq
