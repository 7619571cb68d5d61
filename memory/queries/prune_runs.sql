-- Only the latest runs are kept.
DELETE FROM memory_system.consolidation_runs
WHERE run IN (SELECT run FROM memory_system.consolidation_runs ORDER BY ended_at DESC OFFSET $1)
