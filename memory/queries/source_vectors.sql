-- Vectors of sources in the space that questions are answered in; a long text's is the mean of its passages'.
SELECT p.owner AS episode_id, avg(v.embedding) AS embedding
FROM memory_system.passages AS p
JOIN memory_system.vectors AS v ON v.passage = p.id
WHERE
    p.owner = ANY($1::text[])
    AND p.kind <> 'concept'
    AND v.space = (SELECT s.id FROM memory_system.spaces AS s WHERE s.state = 'current')
GROUP BY p.owner
