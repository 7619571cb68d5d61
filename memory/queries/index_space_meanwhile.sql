-- The index of the nearest vectors of one space, made while others write.
CREATE INDEX CONCURRENTLY IF NOT EXISTS vectors_nearest_{space} ON memory_system.vectors
USING hnsw ((embedding::halfvec({dimensions})) halfvec_cosine_ops)
WHERE space = {space}
