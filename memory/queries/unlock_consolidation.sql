SELECT pg_advisory_unlock(hashtext('memory_system.consolidation'))
