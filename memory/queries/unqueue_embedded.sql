-- What has a vector in this space waits for none.
DELETE FROM memory_system.unembedded AS q
USING memory_system.vectors AS v
WHERE v.space = $1 AND v.passage = q.passage
