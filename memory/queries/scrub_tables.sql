-- The commands that write every table of memory again without what was deleted (`$1`; else they only mark its room as free), and
-- then the planner's samples of their values.
SELECT format('VACUUM (%sANALYZE) %I.%I', CASE WHEN $1 THEN 'FULL, ' ELSE '' END, n.nspname, c.relname) AS command, 1 AS turn
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'memory_system' AND c.relkind = 'r'
UNION ALL
SELECT format('VACUUM %s pg_catalog.%I', CASE WHEN $1 THEN 'FULL' ELSE '' END, name), 2
FROM unnest(ARRAY['pg_statistic', 'pg_statistic_ext_data']) AS samples (name)
ORDER BY turn, command
