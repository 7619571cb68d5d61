-- The planner's samples of values: those of a table that is empty now would stay.
SELECT pg_clear_attribute_stats(schemaname::text, tablename::text, attname::text, inherited)
FROM pg_stats
WHERE schemaname = 'memory_system'
