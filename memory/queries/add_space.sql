-- The space of this database's vectors, recorded by the first that comes.
INSERT INTO memory_system.spaces (model, dimensions)
SELECT $1, $2
WHERE NOT EXISTS (SELECT FROM memory_system.spaces WHERE state = 'current')
