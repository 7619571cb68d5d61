-- Whether concepts can be read: the latest.
SELECT id, created_at FROM memory_system.semantic_memory ORDER BY created_at DESC, id DESC LIMIT 1
