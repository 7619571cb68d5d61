-- Episodes and lessons by tenth of importance (agent_id null), and by whose they are (tenth null), the largest first; one pass.
-- What can become a concept: what was told on purpose, in words.
WITH held AS (
    SELECT
        agent_id,
        least(width_bucket(importance_score, 0, 1, 10), 10) AS tenth,
        count(*) AS episodes,
        count(*) FILTER (WHERE told) AS told,
        count(*) FILTER (WHERE told AND NOT consolidated) AS unconsolidated,
        min(timestamp) AS oldest,
        max(timestamp) AS newest
    FROM (
        SELECT *, content <> '' AND (kind = 'lesson' OR subject LIKE 'memory.episode.%') AS told
        FROM memory_system.episodes
        WHERE $1::text IS NULL OR agent_id = $1
    ) AS e
    GROUP BY 1, 2
)

SELECT
    NULL AS agent_id,
    tenth,
    sum(episodes)::bigint AS episodes,
    sum(told)::bigint AS told,
    sum(unconsolidated)::bigint AS unconsolidated,
    NULL AS oldest,
    NULL AS newest
FROM held
GROUP BY tenth
UNION ALL
(
    SELECT agent_id, NULL, sum(episodes)::bigint, sum(told)::bigint, sum(unconsolidated)::bigint, min(oldest), max(newest)
    FROM held
    GROUP BY agent_id
    ORDER BY 3 DESC, 1
    LIMIT $2
)
