-- Edges that entries of a batch drew, each once.
INSERT INTO memory_system.edges (source, source_kind, kind, target, target_kind, agent_id, stream_seq, recorded_at)
SELECT *
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::timestamptz[])
ON CONFLICT DO NOTHING
