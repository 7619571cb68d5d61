-- Which of these have a passage that still waits for its vector.
SELECT DISTINCT p.owner
FROM memory_system.passages AS p
JOIN memory_system.unembedded AS q ON q.passage = p.id
WHERE p.owner = ANY($1::text[])
