-- How many passages have a vector in the current space or wait for one, and how many have one in this space.
SELECT
    (
        SELECT count(*)
        FROM memory_system.vectors AS v
        JOIN memory_system.spaces AS s ON s.id = v.space
        WHERE s.state = 'current'
    )
    + (SELECT count(*) FROM memory_system.unembedded) AS total,
    (SELECT count(*) FROM memory_system.vectors WHERE space = $1) AS done
