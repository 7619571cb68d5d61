-- Rows of a batch, each once: one whose event id is known stays out. What went in also waits for its vector.
WITH asked AS (
    SELECT *
    FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::jsonb[], $7::jsonb[], $8::float8[], $9::jsonb[], $10::uuid[],
        $11::uuid[], $12::jsonb[], $13::text[], $14::text[], $15::bigint[], $16::timestamptz[], $17::bytea[], $18::text[], $19::text[], $20::smallint[]
    ) WITH ORDINALITY AS asked (
        episode_id, kind, agent_id, timestamp, action_type, action_details, context_state, importance_score, tags, cross_reference,
        project_dna_id, handoff_packet, session_id, subject, stream_seq, recorded_at, content_hash, content, labels, urgency, place
    )
),
taken AS (
    INSERT INTO memory_system.episodes (
        episode_id, kind, agent_id, timestamp, action_type, action_details, context_state, importance_score, tags,
        cross_reference, project_dna_id, handoff_packet, session_id, subject, stream_seq, recorded_at, content_hash, content, labels
    )
    SELECT
        episode_id, kind, agent_id, timestamp, action_type, action_details, context_state, importance_score,
        ARRAY(SELECT jsonb_array_elements_text(tags)),
        cross_reference, project_dna_id, handoff_packet, session_id, subject, stream_seq, recorded_at, content_hash, content, labels
    FROM asked
    ORDER BY place
    ON CONFLICT (episode_id) DO NOTHING
    RETURNING id, episode_id, stream_seq
),
queued AS (
    INSERT INTO memory_system.unembedded_episodes (urgency, id)
    SELECT asked.urgency, taken.id
    FROM taken
    JOIN asked USING (episode_id, stream_seq)
    WHERE asked.urgency IS NOT NULL
)
SELECT episode_id, stream_seq FROM taken
