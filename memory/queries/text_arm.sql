-- The text arm: passages with any term of the question, best first by BM25 (docs/recall.md). Rareness and lengths ($13 passages of $14
-- terms each) are those of what the agent, or everybody, had then; the other filters choose among it.
WITH asked AS MATERIALIZED (
    SELECT place::integer AS term, ('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''')::tsquery AS query
    FROM unnest(to_tsvector('pg_catalog.english'::regconfig, $1)) WITH ORDINALITY AS t (lexeme, positions, weights, place)
    ORDER BY positions[1], place
    LIMIT $15
),
postings AS MATERIALIZED (
    SELECT
        asked.term,
        p.id,
        memory_system.term_frequency(p.search_terms, asked.query) AS tf,
        length(p.search_terms) AS terms,
        (p.kind = ANY($2::text[]))
        AND (cardinality($4::text[]) = 0 OR p.tags @> $4)
        AND ($5::float8 IS NULL OR p.importance_score >= $5)
        AND ($6::timestamptz IS NULL OR p.timestamp >= $6)
        AND ($7::timestamptz IS NULL OR p.timestamp <= $7) AS passes
    FROM asked
    JOIN memory_system.passages AS p ON p.search_terms @@ asked.query
    WHERE
        ($3::text IS NULL OR p.agent_id = $3)
        AND ($8::timestamptz IS NULL OR p.recorded_at <= $8)
        AND ($9::bigint IS NULL OR p.stream_seq <= $9)
        AND (p.ended_seq IS NULL OR p.ended_at > $8 OR p.ended_seq > $9)
),
weights AS MATERIALIZED (
    SELECT term, ln(1 + (greatest($13::float8 - count(*), 0) + 0.5) / (count(*)::float8 + 0.5)) AS rareness
    FROM postings
    GROUP BY term
),
best AS MATERIALIZED (
    SELECT
        postings.id,
        sum((
            1e9 * rareness * tf * ($11::float8 + 1) / (tf + $11::float8 * (1 - $12::float8 + $12::float8 * terms / $14::float8))
        )::bigint)::float8 / 1e9 AS score -- whole numbers: their sum does not depend on their order
    FROM postings
    JOIN weights USING (term)
    WHERE passes
    GROUP BY postings.id
    ORDER BY score DESC, postings.id DESC
    LIMIT $10
)
SELECT p.id, p.kind, p.owner, best.score
FROM best
JOIN memory_system.passages AS p USING (id)
ORDER BY best.score DESC, p.id DESC
