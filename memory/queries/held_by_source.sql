-- Episodes and lessons by tenth of importance (agent_id null), and by whose they are (tenth null), the largest first; one pass.
-- What can become a concept: what was told on purpose, in words. It waits until it was looked at.
WITH held AS (
    SELECT
        e.agent_id,
        least(width_bucket(e.importance_score, 0, 1, 10), 10) AS tenth,
        count(*) AS episodes,
        count(*) FILTER (WHERE e.content <> '' AND (e.kind = 'lesson' OR e.subject LIKE 'memory.episode.%')) AS told,
        count(q.id) AS unconsolidated,
        count(q.id) FILTER (WHERE NOT q.examined) AS waiting,
        min(e.timestamp) AS oldest,
        max(e.timestamp) AS newest
    FROM memory_system.episodes AS e
    LEFT JOIN memory_system.unconsolidated AS q ON q.id = e.id
    WHERE $1::text IS NULL OR e.agent_id = $1
    GROUP BY 1, 2
)

SELECT
    NULL AS agent_id,
    tenth,
    sum(episodes)::bigint AS episodes,
    sum(told)::bigint AS told,
    sum(unconsolidated)::bigint AS unconsolidated,
    sum(waiting)::bigint AS waiting,
    NULL AS oldest,
    NULL AS newest
FROM held
GROUP BY tenth
UNION ALL
(
    SELECT
        agent_id,
        NULL,
        sum(episodes)::bigint,
        sum(told)::bigint,
        sum(unconsolidated)::bigint,
        sum(waiting)::bigint,
        min(oldest),
        max(newest)
    FROM held
    GROUP BY agent_id
    ORDER BY 3 DESC, 1
    LIMIT $2
)
