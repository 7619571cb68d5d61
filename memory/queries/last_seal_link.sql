-- The end of the chain.
SELECT stream_seq, link FROM memory_system.seal_links ORDER BY stream_seq DESC LIMIT 1
