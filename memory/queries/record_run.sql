-- What a run of the consolidation did.
INSERT INTO memory_system.consolidation_runs (run, started_at, ended_at, examined, formed, joined, contradictions, complete)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
