-- Episodes that a concept holds now, of those that stand before it in the log; they wait no more.
WITH held AS (
    SELECT episode_id, max(seq) AS seq
    FROM unnest($1::text[], $2::bigint[]) AS held (episode_id, seq)
    GROUP BY episode_id
),
done AS (
    UPDATE memory_system.episodes AS e
    SET consolidated = true
    FROM held
    WHERE e.episode_id = held.episode_id AND e.stream_seq < held.seq AND NOT e.consolidated
    RETURNING e.id
)
DELETE FROM memory_system.unconsolidated AS q
USING done
WHERE q.id = done.id
