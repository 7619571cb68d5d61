-- Tasks as they are known now.
INSERT INTO memory_system.tasks (task_id, submission, submitted_seq, expires_at, fence, agent_id, assigned_seq, assigned_at, settled, ended_seq)
SELECT *
FROM unnest(
    $1::text[], $2::text[], $3::bigint[], $4::timestamptz[], $5::bigint[], $6::text[], $7::bigint[], $8::timestamptz[], $9::boolean[], $10::bigint[]
)
ON CONFLICT (task_id) DO UPDATE SET
    fence = excluded.fence,
    agent_id = excluded.agent_id,
    assigned_seq = excluded.assigned_seq,
    assigned_at = excluded.assigned_at,
    settled = excluded.settled,
    ended_seq = excluded.ended_seq
