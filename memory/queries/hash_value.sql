-- What one row holds.
SELECT value::text AS value
FROM ({rows}) AS named
WHERE key = $2::jsonb
