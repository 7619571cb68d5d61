-- This session changes the space no more.
SELECT pg_advisory_unlock($1)
