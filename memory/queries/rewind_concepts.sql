-- Versions that have ended from this place in the log on, have not; semantic_memory follows.
UPDATE memory_system.concept_versions
SET ended_seq = NULL, ended_at = NULL
WHERE ended_seq >= $1
