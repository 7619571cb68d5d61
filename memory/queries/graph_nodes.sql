-- What these ids are: held memories with the beginning of what they say; else tasks and proposals by the title they were opened
-- with, and agents by their name. What is none of these has no row.
WITH asked AS (
    SELECT DISTINCT id FROM unnest($1::text[]) AS asked (id)
),
held AS (
    SELECT DISTINCT ON (p.owner)
        p.owner AS id, p.kind,
        coalesce(nullif(left(p.content, $2), ''), split_part(p.labels, ' ', 1)) AS text,
        p.agent_id, p.timestamp
    FROM asked
    JOIN memory_system.passages AS p ON p.owner = asked.id AND p.ended_seq IS NULL
    ORDER BY p.owner, p.stream_seq DESC, p.part
),
named AS (
    SELECT rest.id, known.kind
    FROM (SELECT id FROM asked EXCEPT SELECT id FROM held) AS rest
    CROSS JOIN LATERAL (
        SELECT coalesce(
            (SELECT source_kind FROM memory_system.edges
            WHERE source = rest.id AND source_kind IN ('task', 'proposal', 'agent') ORDER BY stream_seq LIMIT 1),
            (SELECT target_kind FROM memory_system.edges
            WHERE target = rest.id AND target_kind IN ('task', 'proposal', 'agent') ORDER BY stream_seq LIMIT 1),
            (SELECT 'agent' FROM memory_system.passages WHERE agent_id = rest.id LIMIT 1)
        ) AS kind
    ) AS known
    WHERE known.kind IS NOT NULL
)
SELECT id, kind, text, agent_id, timestamp FROM held
UNION ALL
SELECT named.id, named.kind, coalesce(left(opening.title, $2), ''), opening.agent_id, opening.timestamp
FROM named
LEFT JOIN LATERAL (
    SELECT o.action_details ->> 'title' AS title, o.agent_id, o.timestamp
    FROM memory_system.edges AS e
    JOIN memory_system.episodes AS o ON o.episode_id = e.source AND o.stream_seq = e.stream_seq
    WHERE
        e.target = named.id AND e.kind = 'caused' AND e.source_kind = 'episode'
        AND o.action_type IN ('task.submitted', 'consensus.proposal')
    ORDER BY e.stream_seq
    LIMIT 1
) AS opening ON named.kind <> 'agent'
