-- How much of an index that is being made is done, in percent; no row where none is.
SELECT phase, 100.0 * blocks_done / nullif(blocks_total, 0) AS percent
FROM pg_stat_progress_create_index
WHERE datname = current_database() AND relid = 'memory_system.vectors'::regclass
