-- Vectors of a space that nobody reads any more, up to a limit.
DELETE FROM memory_system.vectors
WHERE
    space = $1
    AND passage IN (SELECT passage FROM memory_system.vectors WHERE space = $1 LIMIT $2)
RETURNING passage
