-- Which of these ids were forgotten.
SELECT id_hash
FROM memory_system.forgotten_ids
WHERE id_hash = ANY($1::bytea[])
