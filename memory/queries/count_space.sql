-- How many vectors a space has, counted up to a limit.
SELECT count(*) AS vectors
FROM (SELECT FROM memory_system.vectors WHERE space = $1 LIMIT $2) AS found
