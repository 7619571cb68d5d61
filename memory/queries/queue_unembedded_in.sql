-- What has a vector in the first space and none in the second waits for one, in turn.
INSERT INTO memory_system.unembedded (urgency, passage)
SELECT 1, v.passage
FROM memory_system.vectors AS v
WHERE
    v.space = $1
    AND NOT EXISTS (SELECT FROM memory_system.vectors AS w WHERE w.space = $2 AND w.passage = v.passage)
ON CONFLICT DO NOTHING
