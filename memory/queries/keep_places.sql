-- Which entries of the log are rows now, until this transaction ends.
CREATE TEMPORARY TABLE kept_places ON COMMIT DROP AS
SELECT stream_seq FROM memory_system.episodes
