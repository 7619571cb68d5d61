-- Concepts are on the log: every version of one is kept, and the current one stands in semantic_memory. What waits for
-- consolidation, how often an episode was recalled, and the runs of the consolidation.

ALTER TABLE memory_system.semantic_memory
    ADD COLUMN version integer NOT NULL DEFAULT 1,
    ADD COLUMN event_id varchar(255), -- of the entry that formed this version
    ADD COLUMN origin text NOT NULL DEFAULT 'told' CHECK (origin IN ('told', 'consolidated')),
    ADD COLUMN run text,
    ADD COLUMN contradicts text[] NOT NULL DEFAULT '{}',
    ADD COLUMN statements jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN key_terms text[] NOT NULL DEFAULT '{}', -- a consolidation finds it by these
    ADD COLUMN updated_at timestamptz;

UPDATE memory_system.semantic_memory SET updated_at = created_at;
ALTER TABLE memory_system.semantic_memory ALTER COLUMN updated_at SET NOT NULL, ALTER COLUMN created_at DROP DEFAULT;
COMMENT ON COLUMN memory_system.semantic_memory.log_position IS 'Where the entry of this version stands in the log.';

-- Without a list of pending entries, which each look-up would have to read through.
CREATE INDEX semantic_memory_by_key_term ON memory_system.semantic_memory USING gin (key_terms) WITH (fastupdate = off);

CREATE TABLE memory_system.concept_versions (
    id uuid NOT NULL,
    version integer NOT NULL,
    event_id varchar(255),
    concept varchar(255) NOT NULL,
    content text NOT NULL,
    knowledge_type varchar(100) NOT NULL,
    confidence_score double precision NOT NULL CHECK (confidence_score BETWEEN 0 AND 1),
    source_episodes text[] NOT NULL,
    consolidated text[] NOT NULL, -- the episodes that wait no more because of this version
    origin text NOT NULL,
    run text,
    contradicts text[] NOT NULL,
    statements jsonb NOT NULL,
    key_terms text[] NOT NULL,
    created_at timestamptz NOT NULL, -- of the first version
    updated_at timestamptz NOT NULL, -- of this one
    log_position bigint NOT NULL,
    ended_seq bigint, -- where the next version stands
    ended_at timestamptz,
    PRIMARY KEY (id, version)
);

INSERT INTO memory_system.concept_versions (
    id, version, event_id, concept, content, knowledge_type, confidence_score, source_episodes, consolidated, origin, run, contradicts, statements,
    key_terms, created_at, updated_at, log_position
)
SELECT
    id, version, event_id, concept, content, knowledge_type, confidence_score, source_episodes, '{}', origin, run, contradicts, statements,
    key_terms, created_at, updated_at, log_position
FROM memory_system.semantic_memory;

-- What no concept holds yet. `examined`: looked at, and like nothing else then; found again by its terms when something like it comes.
CREATE TABLE memory_system.unconsolidated (
    id bigint PRIMARY KEY REFERENCES memory_system.episodes ON DELETE CASCADE,
    examined boolean NOT NULL DEFAULT false,
    key_terms text[] NOT NULL DEFAULT '{}'
);

CREATE INDEX unconsolidated_unexamined ON memory_system.unconsolidated (id) WHERE NOT examined;
CREATE INDEX unconsolidated_by_term ON memory_system.unconsolidated USING gin (key_terms) WITH (fastupdate = off) WHERE examined;

INSERT INTO memory_system.unconsolidated (id)
SELECT id FROM memory_system.episodes
WHERE content <> '' AND NOT consolidated AND (kind = 'lesson' OR subject LIKE 'memory.episode.%');

-- semantic_memory follows concept_versions, whoever writes there: it holds of each concept the version that has not ended. And what a
-- deleted version had consolidated waits again, for no concept holds it any more.
CREATE FUNCTION memory_system.follow_concept_versions() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM memory_system.semantic_memory WHERE id = OLD.id AND version = OLD.version;
        WITH freed AS (
            UPDATE memory_system.episodes SET consolidated = false
            WHERE episode_id = ANY(OLD.consolidated) AND consolidated
            RETURNING id
        )
        INSERT INTO memory_system.unconsolidated (id) SELECT id FROM freed ON CONFLICT (id) DO NOTHING;
    ELSIF NEW.ended_seq IS NULL THEN
        INSERT INTO memory_system.semantic_memory (
            id, version, event_id, concept, content, knowledge_type, confidence_score, source_episodes, origin, run, contradicts, statements,
            key_terms, created_at, updated_at, log_position
        )
        VALUES (
            NEW.id, NEW.version, NEW.event_id, NEW.concept, NEW.content, NEW.knowledge_type, NEW.confidence_score, NEW.source_episodes,
            NEW.origin, NEW.run, NEW.contradicts, NEW.statements, NEW.key_terms, NEW.created_at, NEW.updated_at, NEW.log_position
        )
        ON CONFLICT (id) DO UPDATE SET
            version = excluded.version,
            event_id = excluded.event_id,
            concept = excluded.concept,
            content = excluded.content,
            embedding = NULL,
            knowledge_type = excluded.knowledge_type,
            confidence_score = excluded.confidence_score,
            source_episodes = excluded.source_episodes,
            origin = excluded.origin,
            run = excluded.run,
            contradicts = excluded.contradicts,
            statements = excluded.statements,
            key_terms = excluded.key_terms,
            created_at = excluded.created_at,
            updated_at = excluded.updated_at,
            log_position = excluded.log_position;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER concept_versions_followed AFTER INSERT OR UPDATE OR DELETE ON memory_system.concept_versions
FOR EACH ROW EXECUTE FUNCTION memory_system.follow_concept_versions();

-- How often an episode was among the first answers to a search. No part of what is made again from the log.
CREATE TABLE memory_system.recalls (
    episode_id varchar(255) PRIMARY KEY REFERENCES memory_system.episodes (episode_id) ON DELETE CASCADE,
    recalls bigint NOT NULL,
    last_at timestamptz NOT NULL
);

CREATE TABLE memory_system.consolidation_runs (
    run text PRIMARY KEY,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    examined integer NOT NULL,
    formed integer NOT NULL,
    joined integer NOT NULL,
    contradictions integer NOT NULL,
    complete boolean NOT NULL
);

-- What is left of an importance: Wickelgren's power law of forgetting. The same law stands in memory/retention.py.
CREATE FUNCTION memory_system.retained(
    importance double precision, at timestamptz, recalls bigint, last_recall timestamptz, now timestamptz
) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT importance * power(
        1 + greatest(0, extract(epoch FROM now - greatest(at, last_recall))::double precision) / 86400.0,
        -0.5 / (1 + ln(1 + coalesce(recalls, 0)::double precision))
    )
$$;

-- What was said, without the speaker that stands before it in the indexed content.
CREATE FUNCTION memory_system.said(details jsonb, content text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(details -> 'text') = 'string' AND details ->> 'text' <> '' THEN details ->> 'text' ELSE content END
$$;

-- What an episode refers to, and what a lesson was learned from.
CREATE FUNCTION memory_system.links(cross_reference uuid, details jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_remove(array_append(
        CASE WHEN jsonb_typeof(details -> 'source_episodes') = 'array'
            THEN ARRAY(SELECT jsonb_array_elements_text(details -> 'source_episodes')) ELSE '{}' END,
        cross_reference::text
    ), NULL)
$$;
