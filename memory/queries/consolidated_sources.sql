-- Sources by their event ids.
SELECT
    e.episode_id, e.agent_id, e.timestamp, e.action_type, e.session_id, e.action_details ->> 'outcome' AS outcome,
    left(memory_system.said(e.action_details, e.content), $2) AS text,
    memory_system.links(e.cross_reference, e.action_details) AS links
FROM memory_system.episodes AS e
WHERE e.episode_id = ANY($1::text[])
