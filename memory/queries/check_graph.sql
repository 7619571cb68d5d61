-- Whether edges can be read: one of them.
SELECT source, kind, target FROM memory_system.edges ORDER BY source, stream_seq LIMIT 1
