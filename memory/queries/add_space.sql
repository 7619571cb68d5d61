-- A further space.
INSERT INTO memory_system.spaces (model, dimensions, state)
VALUES ($1, $2, $3)
RETURNING id
