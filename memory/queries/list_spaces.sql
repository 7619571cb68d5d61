-- Every space, the oldest first.
SELECT id, model, dimensions, state
FROM memory_system.spaces
ORDER BY id
