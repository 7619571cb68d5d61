-- Ids that are forgotten from here on, each by its first receipt.
INSERT INTO memory_system.forgotten_ids (id_hash, receipt, stream_seq)
SELECT DISTINCT id_hash, $2, $3::bigint
FROM unnest($1::bytea[]) AS asked (id_hash)
ON CONFLICT (id_hash) DO NOTHING
