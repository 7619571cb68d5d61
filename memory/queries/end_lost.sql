-- Ends sessions of ours that have waited within a statement for longer than any client of ours would: theirs is gone, could not say so,
-- and what they have locked would stay so. Between a statement's preparing and its run PostgreSQL itself counts them as at work.
SELECT pg_terminate_backend(pid) AS ended
FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND application_name = current_setting('application_name')
    AND pid <> pg_backend_pid()
    AND state = 'active' AND wait_event_type = 'Client' AND wait_event = 'ClientRead'
    AND state_change < clock_timestamp() - make_interval(secs => $1::float8)
