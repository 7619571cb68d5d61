-- Vectors of passages in one space, each once, and their places in the queue given up. What has been deleted meanwhile gets none.
WITH vectors AS (
    SELECT * FROM unnest($2::bigint[], $3::halfvec[]) AS vectors (passage, embedding)
),
concepts AS (
    UPDATE memory_system.semantic_memory AS c
    SET embedding = vectors.embedding
    FROM vectors
    JOIN memory_system.passages AS p ON p.id = vectors.passage
    WHERE p.kind = 'concept' AND p.part = 0 AND p.ended_seq IS NULL AND c.id = p.owner::uuid
),
done AS (
    DELETE FROM memory_system.unembedded AS q
    USING vectors
    WHERE q.passage = vectors.passage AND q.urgency IN (0, 1)
)
INSERT INTO memory_system.vectors (space, passage, embedding)
SELECT $1, p.id, vectors.embedding
FROM vectors
JOIN memory_system.passages AS p ON p.id = vectors.passage
FOR KEY SHARE OF p
ON CONFLICT (space, passage) DO NOTHING
