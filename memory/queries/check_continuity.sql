-- Whether open tasks can be read: one of them.
SELECT task_id, agent_id FROM memory_system.tasks WHERE agent_id IS NOT NULL ORDER BY agent_id, assigned_seq LIMIT 1
