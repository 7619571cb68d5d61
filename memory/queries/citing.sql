-- Events other than these, and than mere receipts ($2), whose entries drew an edge to or from any of these; the oldest first.
SELECT DISTINCT e.episode_id, e.stream_seq
FROM memory_system.edges AS g
JOIN memory_system.episodes AS e ON e.stream_seq = g.stream_seq
WHERE (g.target = ANY($1::text[]) OR g.source = ANY($1::text[])) AND e.episode_id <> ALL($1::text[]) AND e.action_type <> $2
ORDER BY e.stream_seq
LIMIT $3
