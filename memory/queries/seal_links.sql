-- The next links of the chain.
SELECT stream_seq, salt, digest, link FROM memory_system.seal_links
WHERE stream_seq > $1
ORDER BY stream_seq
LIMIT $2
