-- One item less; `version` is later than the item's, `alive` says whether its time was not over yet.
DELETE FROM memory_system.working_memory
WHERE session_id = $1 AND context_key = $2
RETURNING agent_id, nextval('memory_system.working_memory_version') AS version, expiry_time > now() AS alive
