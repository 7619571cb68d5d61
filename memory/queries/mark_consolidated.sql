-- Episodes that a concept holds now, of those that stand before it in the log; they wait no more.
WITH done AS (
    UPDATE memory_system.episodes
    SET consolidated = true
    WHERE episode_id = ANY($1::text[]) AND stream_seq < $2 AND NOT consolidated
    RETURNING id
)
DELETE FROM memory_system.unconsolidated AS q
USING done
WHERE q.id = done.id
