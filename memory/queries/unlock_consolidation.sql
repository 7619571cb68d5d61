-- The consolidation may be run by another one.
SELECT pg_advisory_unlock(hashtext('memory_system.consolidation'))
