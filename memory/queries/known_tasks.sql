-- What is known of these tasks.
SELECT task_id, submission, submitted_seq, expires_at, fence, agent_id, assigned_seq, assigned_at, settled, ended_seq
FROM memory_system.tasks
WHERE task_id = ANY($1::text[])
