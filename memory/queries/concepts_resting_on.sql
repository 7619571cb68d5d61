-- Concepts of which any version rests on any of these events, and the concept of this id; `sources`: of all their versions.
SELECT c.id::text AS id, array_agg(DISTINCT s.source) FILTER (WHERE s.source IS NOT NULL) AS sources
FROM memory_system.concept_versions AS c
LEFT JOIN LATERAL unnest(c.source_episodes) AS s (source) ON true
WHERE c.id IN (SELECT v.id FROM memory_system.concept_versions AS v WHERE v.source_episodes && $1::text[] OR v.id::text = $2)
GROUP BY c.id
ORDER BY 1
