-- A durable write that leaves nothing behind but a record in the write-ahead log.
SELECT pg_logical_emit_message(true, 'cerebro', 'health')
