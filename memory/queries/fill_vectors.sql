-- Vectors of passages in a space that is being filled, each once. What has been deleted meanwhile gets none.
INSERT INTO memory_system.vectors (space, passage, embedding)
SELECT $1, p.id, vectors.embedding
FROM unnest($2::bigint[], $3::halfvec[]) AS vectors (passage, embedding)
JOIN memory_system.passages AS p ON p.id = vectors.passage
FOR KEY SHARE OF p
ON CONFLICT (space, passage) DO NOTHING
