-- Rows of a batch, each once: one whose event id is known stays out.
INSERT INTO memory_system.episodes (
    episode_id, kind, agent_id, timestamp, action_type, action_details, context_state, importance_score, tags,
    cross_reference, project_dna_id, handoff_packet, session_id, subject, stream_seq, recorded_at, content_hash, content
)
SELECT
    episode_id, kind, agent_id, timestamp, action_type, action_details, context_state, importance_score,
    ARRAY(SELECT jsonb_array_elements_text(tags)),
    cross_reference, project_dna_id, handoff_packet, session_id, subject, stream_seq, recorded_at, content_hash, content
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::jsonb[], $7::jsonb[], $8::float8[], $9::jsonb[], $10::uuid[],
    $11::uuid[], $12::jsonb[], $13::text[], $14::text[], $15::bigint[], $16::timestamptz[], $17::bytea[], $18::text[]
) WITH ORDINALITY AS asked (
    episode_id, kind, agent_id, timestamp, action_type, action_details, context_state, importance_score, tags, cross_reference,
    project_dna_id, handoff_packet, session_id, subject, stream_seq, recorded_at, content_hash, content, place
)
ORDER BY place
ON CONFLICT (episode_id) DO NOTHING
RETURNING stream_seq
