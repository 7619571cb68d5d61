-- Whether episodes can be read: the latest.
SELECT id, timestamp FROM memory_system.episodes ORDER BY timestamp DESC, id DESC LIMIT 1
