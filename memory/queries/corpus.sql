-- How much an agent (or everybody) had to search then: passages, the texts they are of, and their terms.
SELECT
    coalesce(sum(passages), 0)::bigint AS passages,
    coalesce(sum(texts), 0)::bigint AS texts,
    coalesce(sum(terms), 0)::bigint AS terms
FROM (
    SELECT passages, texts, terms
    FROM memory_system.corpora
    WHERE $2::timestamptz IS NULL AND $3::bigint IS NULL AND ($1::text IS NULL OR agent_id = $1)
    UNION ALL
    SELECT count(*), count(*) FILTER (WHERE p.part = 0), sum(length(p.search_terms))
    FROM memory_system.passages AS p
    WHERE
        ($2::timestamptz IS NOT NULL OR $3::bigint IS NOT NULL)
        AND ($1::text IS NULL OR p.agent_id = $1)
        AND ($2::timestamptz IS NULL OR p.recorded_at <= $2)
        AND ($3::bigint IS NULL OR p.stream_seq <= $3)
        AND (p.ended_seq IS NULL OR p.ended_at > $2 OR p.ended_seq > $3)
) AS counted
