-- Of the concepts that share terms with a source, the three that share most; for all sources together, up to a limit.
WITH asked AS (
    SELECT * FROM unnest($1::integer[], $2::text[]) AS asked (source, term)
),
met AS (
    SELECT t.term, c.id
    FROM (SELECT DISTINCT term FROM asked) AS t
    CROSS JOIN LATERAL (
        SELECT id FROM memory_system.semantic_memory WHERE key_terms @> ARRAY[t.term] ORDER BY updated_at DESC, id LIMIT 200
    ) AS c
),
shared AS (
    SELECT asked.source, met.id, count(*) AS terms
    FROM asked
    JOIN met USING (term)
    GROUP BY asked.source, met.id
),
ranked AS (
    SELECT id, terms, row_number() OVER (PARTITION BY source ORDER BY terms DESC, id) AS place
    FROM shared
)
SELECT id::text AS id
FROM ranked
WHERE place <= 3
GROUP BY id
ORDER BY max(terms) DESC, id
LIMIT $3
