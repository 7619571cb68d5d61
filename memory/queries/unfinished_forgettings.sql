-- Forgettings that are told whole, and whose bytes are not all gone yet.
SELECT f.receipt, f.seqs
FROM memory_system.forgettings AS f
WHERE f.seen >= f.pieces AND NOT EXISTS (SELECT FROM memory_system.erasures AS e WHERE e.receipt = f.receipt)
ORDER BY f.stream_seq
LIMIT $1
