-- The copies that concepts have of their vectors, where they are of another space than this one.
UPDATE memory_system.semantic_memory AS c
SET embedding = found.embedding
FROM (
    SELECT k.id, v.embedding
    FROM memory_system.vectors AS v
    JOIN memory_system.passages AS p ON p.id = v.passage
    JOIN memory_system.semantic_memory AS k ON k.id = p.owner::uuid
    WHERE
        v.space = $1
        AND p.kind = 'concept'
        AND p.part = 0
        AND p.ended_seq IS NULL
        AND k.embedding IS DISTINCT FROM v.embedding
    LIMIT $2
) AS found
WHERE c.id = found.id
RETURNING c.id
