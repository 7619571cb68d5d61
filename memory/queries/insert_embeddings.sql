-- Vectors of episodes, each once, and their places in the queue given up.
WITH vectors AS (
    SELECT * FROM unnest($1::bigint[], $2::halfvec[]) AS vectors (id, embedding)
),
done AS (
    DELETE FROM memory_system.unembedded_episodes AS q
    USING vectors
    WHERE q.id = vectors.id AND q.urgency IN (0, 1)
)
INSERT INTO memory_system.episode_embeddings (id, embedding)
SELECT id, embedding FROM vectors
ON CONFLICT (id) DO NOTHING
