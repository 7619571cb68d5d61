-- The space that questions are answered in.
SELECT id, model, dimensions
FROM memory_system.spaces
WHERE state = 'current'
