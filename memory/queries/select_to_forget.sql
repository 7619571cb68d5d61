-- The events of an id, an agent, a session or a tag, the oldest first.
SELECT episode_id, kind, subject, stream_seq
FROM memory_system.episodes
WHERE
    ($1::text IS NULL OR episode_id = $1)
    AND ($2::text IS NULL OR agent_id = $2)
    AND ($3::text IS NULL OR session_id = $3)
    AND ($4::text IS NULL OR tags @> ARRAY[$4::text])
ORDER BY stream_seq
LIMIT $5
