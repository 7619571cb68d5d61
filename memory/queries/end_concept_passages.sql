-- The passages of a concept's earlier version are searched no more, unless one asks for the time before.
UPDATE memory_system.passages
SET ended_seq = $2, ended_at = $3
WHERE owner = $1 AND kind = 'concept' AND ended_seq IS NULL
