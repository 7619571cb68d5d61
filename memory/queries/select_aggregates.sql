-- Every event of these proposals or tasks; the name of one is the third part of its subjects.
SELECT episode_id, kind, subject, stream_seq
FROM memory_system.episodes
WHERE action_type = ANY($1::text[]) AND subject LIKE 'mesh.%' AND split_part(subject, '.', 3) = ANY($2::text[])
ORDER BY stream_seq
