-- A space without vectors.
DELETE FROM memory_system.spaces
WHERE id = $1
