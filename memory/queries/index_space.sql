-- The index of the nearest vectors of one space.
CREATE INDEX IF NOT EXISTS vectors_nearest_{space} ON memory_system.vectors
USING hnsw ((embedding::halfvec({dimensions})) halfvec_cosine_ops)
WHERE space = {space}
