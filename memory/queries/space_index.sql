-- Whether a space has its index, and whether that is whole.
SELECT i.indisvalid AS valid
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'memory_system' AND c.relname = 'vectors_nearest_' || $1::smallint
