-- Further links of the chain.
INSERT INTO memory_system.seal_links (stream_seq, salt, digest, link)
SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[])
