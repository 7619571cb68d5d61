-- What was searched of concepts as they were known before an entry of the log.
DELETE FROM memory_system.passages
WHERE owner = ANY($1::text[]) AND kind = 'concept' AND stream_seq < $2
