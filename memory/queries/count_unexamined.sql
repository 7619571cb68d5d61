-- How much waits that has not been looked at, counted up to a limit.
SELECT count(*) AS waiting
FROM (
    SELECT
    FROM memory_system.unconsolidated AS q
    JOIN memory_system.episodes AS e ON e.id = q.id
    WHERE
        NOT q.examined
        AND ($1::text IS NULL OR e.agent_id = $1)
        AND ($2::timestamptz IS NULL OR e.timestamp >= $2)
    LIMIT $3
) AS found
