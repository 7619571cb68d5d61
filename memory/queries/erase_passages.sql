-- What was searched of forgotten events; vectors and places in queues go with it.
DELETE FROM memory_system.passages
WHERE owner = ANY($1::text[]) AND kind <> 'concept'
