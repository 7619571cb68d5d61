-- What of the rows in these places of the log is sealed: all that they were given. Left out are the surrogate id, what others change
-- later (`consolidated`), and what PostgreSQL computes. Text, and times as microseconds, so that no setting of a session changes them.
SELECT
    e.stream_seq,
    ARRAY[
        e.episode_id, e.kind, e.agent_id, (extract(epoch FROM e.timestamp) * 1000000)::bigint::text, e.action_type, e.action_details::text,
        e.context_state::text, e.importance_score::text, to_jsonb(e.tags)::text, e.cross_reference::text, e.project_dna_id::text,
        e.handoff_packet::text, e.session_id, e.subject, e.stream_seq::text,
        (extract(epoch FROM e.recorded_at) * 1000000)::bigint::text, encode(e.content_hash, 'hex'), e.content
    ] AS columns
FROM memory_system.episodes AS e
WHERE e.stream_seq > $1 AND e.stream_seq <= $2
ORDER BY e.stream_seq
