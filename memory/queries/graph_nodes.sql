-- What these ids are: tasks and proposals by the title they were opened with; memories by the beginning of what they say; of what
-- is named only, its name (an agent; a task whose submission is not held). What is none of these has no row.
WITH asked AS (
    SELECT DISTINCT id FROM unnest($1::text[]) AS asked (id)
),
opened AS (
    SELECT DISTINCT ON (e.target) e.target AS id, e.target_kind AS kind, e.source AS opening
    FROM asked
    JOIN memory_system.edges AS e ON e.target = asked.id
    WHERE e.kind = 'caused' AND e.source_kind = 'episode' AND e.target_kind IN ('task', 'proposal')
    ORDER BY e.target, e.stream_seq
),
held AS (
    SELECT DISTINCT ON (p.owner)
        p.owner AS id, p.kind,
        coalesce(nullif(left(p.content, $2), ''), split_part(p.labels, ' ', 1)) AS text,
        p.agent_id, p.timestamp
    FROM (SELECT id FROM asked EXCEPT SELECT id FROM opened) AS rest
    JOIN memory_system.passages AS p ON p.owner = rest.id AND p.ended_seq IS NULL
    ORDER BY p.owner, p.stream_seq DESC, p.part
),
named AS (
    SELECT rest.id, known.kind
    FROM (SELECT id FROM asked EXCEPT SELECT id FROM opened EXCEPT SELECT id FROM held) AS rest
    CROSS JOIN LATERAL (
        SELECT coalesce(
            (SELECT source_kind FROM memory_system.edges
            WHERE source = rest.id AND source_kind IN ('task', 'proposal', 'agent') ORDER BY stream_seq LIMIT 1),
            (SELECT target_kind FROM memory_system.edges
            WHERE target = rest.id AND target_kind IN ('task', 'proposal', 'agent') ORDER BY stream_seq LIMIT 1),
            (SELECT 'agent' FROM memory_system.passages WHERE agent_id = rest.id ORDER BY timestamp LIMIT 1)
        ) AS kind
    ) AS known
    WHERE known.kind IS NOT NULL
)
SELECT opened.id, opened.kind, coalesce(left(o.action_details ->> 'title', $2), '') AS text, o.agent_id, o.timestamp
FROM opened
LEFT JOIN memory_system.episodes AS o ON o.episode_id = opened.opening
UNION ALL
SELECT id, kind, text, agent_id, timestamp FROM held
UNION ALL
SELECT id, kind, '', NULL, NULL FROM named
