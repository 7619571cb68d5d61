-- Tasks whose submission is forgotten.
DELETE FROM memory_system.tasks
WHERE submission = ANY($1::text[])
