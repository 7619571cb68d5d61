-- Bytes on disk of each table with its indexes.
SELECT c.relname::text AS name, pg_total_relation_size(c.oid) AS bytes
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'memory_system' AND c.relkind = 'r'
ORDER BY c.relname
