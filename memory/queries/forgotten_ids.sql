-- The ids that one forgetting erased, as hashes.
SELECT id_hash
FROM memory_system.forgotten_ids
WHERE receipt = $1
