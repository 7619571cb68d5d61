-- The chain over what was persisted.

-- One link for each row that was sealed. The salt of a row that was forgotten is gone.
CREATE TABLE memory_system.seal_links (
    stream_seq bigint PRIMARY KEY,
    salt bytea,
    digest bytea NOT NULL,
    link bytea NOT NULL
);

-- Rows stand nearly in the order of the log.
CREATE INDEX episodes_by_place ON memory_system.episodes USING brin (stream_seq) WITH (pages_per_range = 16, autosummarize = on);
