-- The latest forgetting that was asked for in these words, or the one that erased this id.
SELECT receipt
FROM (
    SELECT f.receipt, f.stream_seq FROM memory_system.forgettings AS f WHERE f.selector = $1
    UNION ALL
    SELECT i.receipt, 0 FROM memory_system.forgotten_ids AS i WHERE i.id_hash = $2::bytea
) AS found
ORDER BY stream_seq DESC
LIMIT 1
