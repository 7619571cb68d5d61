-- The last handoff packet of an agent for each project, the latest first.
SELECT episode_id, project_dna_id, handoff_packet, timestamp
FROM (
    SELECT DISTINCT ON (project_dna_id) episode_id, project_dna_id::text AS project_dna_id, handoff_packet, timestamp, stream_seq
    FROM memory_system.episodes
    WHERE agent_id = $1 AND handoff_packet IS NOT NULL AND project_dna_id IS NOT NULL
    ORDER BY project_dna_id, stream_seq DESC
) AS latest
ORDER BY stream_seq DESC
LIMIT $2
