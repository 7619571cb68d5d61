-- What has ended from this place in the log on, has not.
UPDATE memory_system.passages
SET ended_seq = NULL, ended_at = NULL
WHERE ended_seq >= $1
