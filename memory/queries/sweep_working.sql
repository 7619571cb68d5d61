-- Items whose time is over, deleted up to a limit.
DELETE FROM memory_system.working_memory
WHERE id IN (
    SELECT id FROM memory_system.working_memory WHERE expiry_time <= now() ORDER BY expiry_time LIMIT $1 FOR UPDATE SKIP LOCKED
)
RETURNING id
