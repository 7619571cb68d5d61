-- An item of working memory, over the one of before. `remaining_s` is for caches: by the clock of the database.
INSERT INTO memory_system.working_memory AS known (session_id, context_key, agent_id, context_data, tags, expiry_time)
VALUES ($1, $2, $3, $4::jsonb, $5::text[], now() + make_interval(secs => $6))
ON CONFLICT (session_id, context_key) DO UPDATE SET
    agent_id = excluded.agent_id,
    context_data = excluded.context_data,
    tags = excluded.tags,
    expiry_time = excluded.expiry_time,
    created_at = excluded.created_at,
    version = nextval('memory_system.working_memory_version')
RETURNING session_id, context_key, agent_id, context_data, tags, created_at, expiry_time, version, extract(epoch FROM expiry_time - clock_timestamp())::float8 AS remaining_s
