-- Items whose time is not over, newest first.
SELECT session_id, context_key, agent_id, context_data, tags, created_at, expiry_time, version
FROM memory_system.working_memory
WHERE
    ($1::text IS NULL OR session_id = $1)
    AND ($2::text IS NULL OR agent_id = $2)
    AND expiry_time > now()
ORDER BY created_at DESC, id DESC
LIMIT $3
