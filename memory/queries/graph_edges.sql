-- The edges among these nodes, each with the entry that drew it first.
SELECT DISTINCT ON (source, kind, target, agent_id) source, kind, target, agent_id, stream_seq
FROM memory_system.edges
WHERE source = ANY($1::text[]) AND target = ANY($1::text[]) AND source <> target
ORDER BY source, kind, target, agent_id, stream_seq
LIMIT $2
