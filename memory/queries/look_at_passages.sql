-- The next passages after a place, and the text of those that have a vector, or wait for one, and have none in this space.
SELECT looked.id, CASE WHEN wanted.yes THEN coalesce(nullif(looked.content, ''), looked.labels) END AS text
FROM (
    SELECT p.id, p.content, p.labels
    FROM memory_system.passages AS p
    WHERE p.id > $2
    ORDER BY p.id
    LIMIT $3
) AS looked,
LATERAL (
    SELECT
        NOT EXISTS (SELECT FROM memory_system.vectors AS v WHERE v.passage = looked.id AND v.space = $1)
        AND (
            EXISTS (
                SELECT
                FROM memory_system.vectors AS v
                JOIN memory_system.spaces AS s ON s.id = v.space
                WHERE v.passage = looked.id AND s.state = 'current'
            )
            OR EXISTS (SELECT FROM memory_system.unembedded AS q WHERE q.passage = looked.id)
        ) AS yes
) AS wanted
ORDER BY looked.id
