-- The last handoff packet of an agent, in the order of the log.
SELECT episode_id, project_dna_id::text AS project_dna_id, handoff_packet, timestamp
FROM memory_system.episodes
WHERE agent_id = $1 AND handoff_packet IS NOT NULL
ORDER BY stream_seq DESC
LIMIT 1
