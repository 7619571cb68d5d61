-- The ids that these forgettings erased, as hashes.
SELECT id_hash
FROM memory_system.forgotten_ids
WHERE receipt = ANY($1::text[])
