-- The tables of the specification, in schema memory_system (which `apply` makes), and what the design adds to them.

CREATE EXTENSION IF NOT EXISTS vector;

-- Any term of a question: the terms are joined by OR. A question that is ANDed finds a tenth of what it should.
CREATE FUNCTION memory_system.any_term(question text) RETURNS tsquery
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT string_agg('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''', ' | ')::tsquery
    FROM unnest(to_tsvector('pg_catalog.english'::regconfig, question))
$$;

-- A tsvector holds 1 MiB; a text whose vocabulary is larger is indexed by as much of its beginning as fits.
CREATE FUNCTION memory_system.terms(content text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    IF octet_length(content) <= 200000 THEN
        RETURN to_tsvector('pg_catalog.english'::regconfig, content);
    END IF;
    BEGIN
        RETURN to_tsvector('pg_catalog.english'::regconfig, content);
    EXCEPTION WHEN program_limit_exceeded THEN
        RETURN memory_system.terms(left(content, length(content) / 2));
    END;
END
$$;

-- One row for each persisted event. `recorded_at` is the log's time, so that a rebuilt table is equal to the first.
CREATE TABLE memory_system.episodes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    episode_id varchar(255) NOT NULL UNIQUE, -- the event id
    kind text NOT NULL CHECK (kind IN ('episode', 'lesson')),
    agent_id varchar(100) NOT NULL,
    timestamp timestamptz NOT NULL,
    action_type varchar(100) NOT NULL,
    action_details jsonb NOT NULL,
    context_state jsonb,
    importance_score double precision NOT NULL DEFAULT 0.5 CHECK (importance_score BETWEEN 0 AND 1),
    tags text[] NOT NULL DEFAULT '{}',
    consolidated boolean NOT NULL DEFAULT false,
    cross_reference uuid,
    project_dna_id uuid,
    handoff_packet jsonb,
    session_id varchar(255),
    subject text NOT NULL,
    stream_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    content_hash bytea NOT NULL,
    content text NOT NULL, -- what is shown and embedded
    labels text NOT NULL, -- action_type and tags, indexed beside it
    search_terms tsvector NOT NULL GENERATED ALWAYS AS (memory_system.terms(content || E'\n' || labels)) STORED
);

CREATE INDEX episodes_by_time ON memory_system.episodes (timestamp DESC, id DESC);
CREATE INDEX episodes_by_agent ON memory_system.episodes (agent_id, timestamp DESC, id DESC);
CREATE INDEX episodes_by_action ON memory_system.episodes (action_type, timestamp DESC, id DESC);
CREATE INDEX episodes_by_tag ON memory_system.episodes USING gin (tags);
CREATE INDEX episodes_by_term ON memory_system.episodes USING gin (search_terms);

-- The vectors of episodes stand apart, so that embedding a row does not write its other indexes again. Their index is
-- made when the space is recorded, because it needs the number of dimensions. Half precision: half the space, same recall.
CREATE TABLE memory_system.episode_embeddings (
    id bigint PRIMARY KEY REFERENCES memory_system.episodes ON DELETE CASCADE,
    embedding halfvec NOT NULL
);

-- The queue of rows without a vector. What somebody said on purpose (urgency 0) goes before protocol events (1).
CREATE TABLE memory_system.unembedded_episodes (
    urgency smallint NOT NULL,
    id bigint NOT NULL REFERENCES memory_system.episodes ON DELETE CASCADE,
    PRIMARY KEY (urgency, id)
);

CREATE TABLE memory_system.embedding_space (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    model text NOT NULL,
    dimensions integer NOT NULL CHECK (dimensions > 0),
    recorded_at timestamptz NOT NULL DEFAULT now()
);

CREATE SEQUENCE memory_system.working_memory_version;

-- `version` grows with every write, so that a cache can tell which of two values is the later one.
CREATE TABLE memory_system.working_memory (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    session_id varchar(255) NOT NULL,
    agent_id varchar(100) NOT NULL DEFAULT 'aria',
    context_key varchar(255) NOT NULL,
    context_data jsonb NOT NULL,
    tags text[] NOT NULL DEFAULT '{}',
    expiry_time timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    version bigint NOT NULL DEFAULT nextval('memory_system.working_memory_version'),
    UNIQUE (session_id, context_key)
);

CREATE INDEX working_memory_by_agent ON memory_system.working_memory (agent_id, created_at DESC, id DESC);
CREATE INDEX working_memory_by_expiry ON memory_system.working_memory (expiry_time);

CREATE TABLE memory_system.semantic_memory (
    id uuid PRIMARY KEY,
    concept varchar(255) NOT NULL,
    content text NOT NULL,
    embedding halfvec, -- null: not embedded yet
    knowledge_type varchar(100) NOT NULL DEFAULT 'general',
    confidence_score double precision NOT NULL DEFAULT 0.5 CHECK (confidence_score BETWEEN 0 AND 1),
    source_episodes text[] NOT NULL DEFAULT '{}', -- an episode's id is any string its publisher chose
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    log_position bigint NOT NULL, -- how far the log had been persisted when this was learned
    search_terms tsvector NOT NULL GENERATED ALWAYS AS (memory_system.terms(concept || E'\n' || content || E'\n' || knowledge_type)) STORED
);

CREATE INDEX semantic_memory_by_time ON memory_system.semantic_memory (created_at DESC, id DESC);
CREATE INDEX semantic_memory_by_type ON memory_system.semantic_memory (knowledge_type, created_at DESC, id DESC);
CREATE INDEX semantic_memory_by_term ON memory_system.semantic_memory USING gin (search_terms);
CREATE INDEX semantic_memory_unembedded ON memory_system.semantic_memory (id) WHERE embedding IS NULL;

-- How far each consumer is: `stream_seq` is the latest entry it has settled, `changes` counts what it changed.
CREATE TABLE memory_system.consumer_position (
    consumer text PRIMARY KEY,
    stream_seq bigint NOT NULL DEFAULT 0,
    changes bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now()
);
