-- A consumer has come to this entry of the log and has changed so many things.
INSERT INTO memory_system.consumer_position AS known (consumer, stream_seq, changes)
VALUES ($1, $2, $3)
ON CONFLICT (consumer) DO UPDATE SET
    stream_seq = greatest(known.stream_seq, excluded.stream_seq),
    changes = known.changes + excluded.changes,
    updated_at = now()
