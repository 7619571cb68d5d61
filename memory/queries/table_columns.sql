-- Every column of every table of this schema, with what makes a value that the log did not say.
SELECT
    c.relname AS table_name,
    a.attname AS column_name,
    a.attgenerated <> '' AS is_generated,
    a.attidentity <> '' AS is_identity,
    pg_get_expr(d.adbin, d.adrelid) AS default_value
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'memory_system'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY c.relname, a.attnum
