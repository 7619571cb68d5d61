-- Vectors of concepts.
UPDATE memory_system.semantic_memory AS c
SET embedding = vectors.embedding
FROM unnest($1::uuid[], $2::halfvec[]) AS vectors (id, embedding)
WHERE c.id = vectors.id
