-- Which of these events are persisted, and which have all their vectors in the current space too.
SELECT e.episode_id, NOT EXISTS (
    SELECT
    FROM memory_system.passages AS p
    WHERE
        p.owner = e.episode_id
        AND p.kind <> 'concept'
        AND NOT EXISTS (
            SELECT
            FROM memory_system.vectors AS v
            WHERE v.passage = p.id AND v.space = (SELECT s.id FROM memory_system.spaces AS s WHERE s.state = 'current')
        )
) AS embedded
FROM memory_system.episodes AS e
WHERE e.episode_id = ANY($1::text[])
