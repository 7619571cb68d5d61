-- What forgetting needs.

-- One row for each forgetting that the log tells of. What was asked for is kept as a hash: it may itself be what must not be known.
-- A large one is told in several entries; it is whole when `seen` is `pieces`.
CREATE TABLE memory_system.forgettings (
    receipt text PRIMARY KEY,
    selector text NOT NULL,
    stream_seq bigint NOT NULL, -- of its latest entry
    forgotten_at timestamptz NOT NULL,
    pieces integer NOT NULL,
    seen integer NOT NULL,
    seqs bigint[] NOT NULL, -- the places in the log to be empty
    episodes integer NOT NULL,
    lessons integer NOT NULL,
    concepts_erased integer NOT NULL,
    concepts_rewritten integer NOT NULL,
    working_items integer NOT NULL,
    dead_letters integer NOT NULL,
    complete boolean NOT NULL,
    remains text[] NOT NULL
);

CREATE INDEX forgettings_by_selector ON memory_system.forgettings (selector, stream_seq);

-- Every id that was forgotten, as SHA-256: it is not remembered again when it comes late.
CREATE TABLE memory_system.forgotten_ids (
    id_hash bytea PRIMARY KEY,
    receipt text NOT NULL,
    stream_seq bigint NOT NULL -- of the entry that says so
);

CREATE INDEX forgotten_ids_by_receipt ON memory_system.forgotten_ids (receipt);

-- Forgettings whose bytes are gone from the log, the buckets, Redis and (`scrubbed`) the files of this database. No projection of the
-- log: what this says is true of this database, and a rebuilt one is erased from again.
CREATE TABLE memory_system.erasures (
    receipt text PRIMARY KEY,
    scrubbed boolean NOT NULL,
    erased_at timestamptz NOT NULL DEFAULT now()
);

-- Further places in the log that hold an event under an id that was known already.
CREATE TABLE memory_system.log_copies (
    stream_seq bigint PRIMARY KEY,
    episode_id varchar(255) NOT NULL
);

CREATE INDEX log_copies_by_episode ON memory_system.log_copies (episode_id);

-- Places in the log that were found to hold forgotten events after the forgetting was told; they are erased next. No projection either.
CREATE TABLE memory_system.late_places (
    stream_seq bigint PRIMARY KEY
);
