-- Episodes of every kind, newest first, from a place on.
SELECT
    id, episode_id, kind, agent_id, timestamp, action_type, action_details, context_state, importance_score, tags, consolidated,
    cross_reference, project_dna_id, handoff_packet, session_id, subject, stream_seq, recorded_at
FROM memory_system.episodes
WHERE
    ($1::text IS NULL OR agent_id = $1)
    AND ($2::text IS NULL OR action_type = $2)
    AND ($3::text IS NULL OR tags @> ARRAY[$3::text])
    AND ($4::float8 IS NULL OR importance_score >= $4)
    AND ($5::timestamptz IS NULL OR timestamp >= $5)
    AND ($6::timestamptz IS NULL OR timestamp <= $6)
    AND ($7::timestamptz IS NULL OR (timestamp, id) < ($7, $8::bigint))
ORDER BY timestamp DESC, id DESC
LIMIT $9
