-- Working memory whose time is over but which is not swept yet, and what will be held longer than so many seconds from now.
SELECT
    count(*) FILTER (WHERE expiry_time <= now()) AS expired,
    count(*) FILTER (WHERE expiry_time > now() + make_interval(secs => $2)) AS long_lived
FROM memory_system.working_memory
WHERE $1::text IS NULL OR agent_id = $1
