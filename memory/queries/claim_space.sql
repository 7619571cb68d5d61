-- The space of all vectors in this database: recorded by the first that comes, read by all others.
INSERT INTO memory_system.embedding_space AS known (model, dimensions)
VALUES ($1, $2)
ON CONFLICT (only_one) DO UPDATE SET only_one = true
RETURNING model, dimensions
