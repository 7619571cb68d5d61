-- Whether this session is the one that changes the space now.
SELECT pg_try_advisory_lock($1) AS held
