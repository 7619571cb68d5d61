-- What is written from here on goes to another file of the write-ahead log.
SELECT pg_switch_wal()
