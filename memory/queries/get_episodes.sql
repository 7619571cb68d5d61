-- Episodes by their event ids.
SELECT
    episode_id, kind, agent_id, timestamp, action_type, action_details, context_state, importance_score, tags, consolidated,
    cross_reference, project_dna_id, handoff_packet, session_id, subject, stream_seq, recorded_at
FROM memory_system.episodes
WHERE episode_id = ANY($1::text[])
