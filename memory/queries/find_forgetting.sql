-- The latest forgetting that was asked for in these words, or the one that erased this id; of those that are told whole.
SELECT found.receipt
FROM (
    SELECT s.receipt, s.stream_seq FROM memory_system.forgettings AS s WHERE s.selector = $1
    UNION ALL
    SELECT i.receipt, 0 FROM memory_system.forgotten_ids AS i WHERE i.id_hash = $2::bytea
) AS found
JOIN memory_system.forgettings AS f ON f.receipt = found.receipt AND f.seen >= f.pieces
ORDER BY found.stream_seq DESC
LIMIT 1
