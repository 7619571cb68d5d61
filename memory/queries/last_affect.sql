-- The last state that was published under this subject.
SELECT action_details, recorded_at
FROM memory_system.episodes
WHERE action_type = 'emotion.affect' AND subject = $1
ORDER BY stream_seq DESC
LIMIT 1
