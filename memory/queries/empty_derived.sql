-- The rows of a derived table that came from this place in the log on.
DELETE FROM {table} AS t
WHERE {seq} >= $1::bigint
