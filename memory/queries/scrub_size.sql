-- Bytes that a scrub would write again, at most.
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint AS bytes, current_setting('wal_recycle') = 'on' AS recycles
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'memory_system' AND c.relkind = 'r'
