-- One sealer at a time, however many memory actors there are.
SELECT pg_advisory_xact_lock(hashtext('memory_system.seals'))
