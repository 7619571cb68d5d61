-- How many sessions may still look at what was deleted before transaction $1.
SELECT count(*) AS sessions
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND (
    (backend_xmin IS NOT NULL AND age(backend_xmin) >= age($1::text::xid))
    OR (backend_xid IS NOT NULL AND age(backend_xid) >= age($1::text::xid))
)
