-- What waits for its vector, the urgent first, then the oldest.
SELECT q.urgency, p.id, p.kind, p.owner, p.content, p.labels
FROM memory_system.unembedded AS q
JOIN memory_system.passages AS p ON p.id = q.passage
ORDER BY q.urgency, q.passage
LIMIT $1
