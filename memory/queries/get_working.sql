-- One item, unless its time is over.
SELECT session_id, context_key, agent_id, context_data, tags, created_at, expiry_time, version, extract(epoch FROM expiry_time - clock_timestamp())::float8 AS remaining_s
FROM memory_system.working_memory
WHERE session_id = $1 AND context_key = $2 AND expiry_time > now()
