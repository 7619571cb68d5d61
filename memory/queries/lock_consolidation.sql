-- One consolidation at a time, however many memory actors there are; false: another one runs.
SELECT pg_try_advisory_lock(hashtext('memory_system.consolidation')) AS taken
