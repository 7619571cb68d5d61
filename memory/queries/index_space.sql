-- The index of the nearest vectors; it knows the number of dimensions, so it is made when the space is.
CREATE INDEX IF NOT EXISTS episode_embeddings_nearest ON memory_system.episode_embeddings
USING hnsw ((embedding::halfvec({dimensions})) halfvec_cosine_ops)
