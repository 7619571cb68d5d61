-- The rows of a table in 256 buckets by their key, and a hash of each bucket in which no order matters.
SELECT get_byte(key_hash, 0) AS bucket, count(*) AS row_count, sha256(string_agg(row_hash, ''::bytea ORDER BY row_hash)) AS hash
FROM (
    SELECT sha256(convert_to(key::text, 'UTF8')) AS key_hash, sha256(convert_to(key::text || ' ' || value::text, 'UTF8')) AS row_hash
    FROM ({rows}) AS named
) AS hashed
GROUP BY bucket
ORDER BY bucket
