-- The index of a space that nobody reads any more.
DROP INDEX CONCURRENTLY IF EXISTS memory_system.vectors_nearest_{space}
