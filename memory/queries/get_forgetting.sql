-- A forgetting, and whether its bytes are gone.
SELECT
    f.receipt, f.forgotten_at, f.episodes, f.lessons, f.concepts_erased, f.concepts_rewritten, f.working_items,
    cardinality(f.seqs) AS log_entries, f.dead_letters, f.complete, f.remains, f.seen >= f.pieces AS told, e.scrubbed
FROM memory_system.forgettings AS f
LEFT JOIN memory_system.erasures AS e ON e.receipt = f.receipt
WHERE f.receipt = $1
