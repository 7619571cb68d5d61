-- A transaction id later than any that has begun before.
SELECT pg_current_xact_id()::xid::text AS xid
