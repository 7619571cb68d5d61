-- Whether the chain holds something, the last seal itself aside, that no seal has signed.
SELECT EXISTS (
    SELECT FROM memory_system.seal_links AS l
    LEFT JOIN (
        SELECT stream_seq, (action_details ->> 'last_seq')::bigint AS last_seq
        FROM memory_system.episodes
        WHERE action_type = $1
        ORDER BY timestamp DESC, id DESC
        LIMIT 1
    ) AS seal ON true
    WHERE l.stream_seq > coalesce(seal.last_seq, 0) AND l.stream_seq IS DISTINCT FROM seal.stream_seq
) AS any
