-- The kept vectors of passages that say the same again; those need not wait for the embedder.
WITH restored AS (
    INSERT INTO memory_system.vectors (space, passage, embedding)
    SELECT k.space, p.id, k.embedding
    FROM kept_vectors AS k
    JOIN memory_system.passages AS p USING (owner, stream_seq, part)
    WHERE p.content = k.content AND p.labels = k.labels
    ON CONFLICT (space, passage) DO NOTHING
    RETURNING space, passage
)
DELETE FROM memory_system.unembedded AS q
USING restored
JOIN memory_system.spaces AS s ON s.id = restored.space AND s.state = 'current'
WHERE q.passage = restored.passage
