-- How many items an agent, a session or a tag has.
SELECT count(*) AS items
FROM memory_system.working_memory
WHERE
    ($1::text IS NOT NULL OR $2::text IS NOT NULL OR $3::text IS NOT NULL)
    AND ($1::text IS NULL OR agent_id = $1)
    AND ($2::text IS NULL OR session_id = $2)
    AND ($3::text IS NULL OR tags @> ARRAY[$3::text])
