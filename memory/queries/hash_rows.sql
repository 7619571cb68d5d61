-- The keys of one bucket, and the hash of each row.
SELECT key::text AS key, sha256(convert_to(key::text || ' ' || value::text, 'UTF8')) AS hash
FROM ({rows}) AS named
WHERE get_byte(sha256(convert_to(key::text, 'UTF8')), 0) = $2
ORDER BY key
