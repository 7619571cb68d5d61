-- What is searched stands in one table: each episode, lesson and concept in passages, with copies of the columns that searches
-- filter by. Vectors belong to a space, so that one space can be filled while another still answers.

-- `owner` is the event id of an episode or lesson, or the id of a concept. A passage of a concept ends when a later version of it
-- is known; that of an episode never does.
CREATE TABLE memory_system.passages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('episode', 'lesson', 'concept')),
    owner text NOT NULL,
    part integer NOT NULL, -- which passage of its owner, from 0
    content text NOT NULL, -- embedded; empty for what is found by its labels only
    labels text NOT NULL, -- found by, beside the content
    agent_id varchar(100) NOT NULL,
    session_id varchar(255),
    timestamp timestamptz NOT NULL,
    importance_score double precision NOT NULL,
    tags text[] NOT NULL,
    stream_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    ended_seq bigint,
    ended_at timestamptz,
    search_terms tsvector NOT NULL GENERATED ALWAYS AS (memory_system.terms(content || E'\n' || labels)) STORED,
    UNIQUE (owner, stream_seq, part)
);

CREATE TABLE memory_system.spaces (
    id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model text NOT NULL,
    dimensions integer NOT NULL CHECK (dimensions > 0),
    state text NOT NULL DEFAULT 'current' CHECK (state IN ('current', 'filling', 'ready', 'retired')),
    recorded_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX spaces_current ON memory_system.spaces (state) WHERE state = 'current';

-- Half precision: half the space, same recall. The index of the nearest is made for each space, because it needs its dimensions.
CREATE TABLE memory_system.vectors (
    space smallint NOT NULL REFERENCES memory_system.spaces,
    passage bigint NOT NULL REFERENCES memory_system.passages ON DELETE CASCADE,
    embedding halfvec NOT NULL,
    PRIMARY KEY (space, passage)
);

CREATE INDEX vectors_by_passage ON memory_system.vectors (passage);

-- The queue of passages without a vector in the current space. What somebody said on purpose (urgency 0) goes before protocol events (1).
CREATE TABLE memory_system.unembedded (
    urgency smallint NOT NULL,
    passage bigint NOT NULL REFERENCES memory_system.passages ON DELETE CASCADE,
    PRIMARY KEY (urgency, passage)
);

CREATE INDEX unembedded_by_passage ON memory_system.unembedded (passage);

-- What was remembered before.
INSERT INTO memory_system.passages
    (kind, owner, part, content, labels, agent_id, session_id, timestamp, importance_score, tags, stream_seq, recorded_at)
SELECT kind, episode_id, 0, content, labels, agent_id, session_id, timestamp, importance_score, tags, stream_seq, recorded_at
FROM memory_system.episodes
ORDER BY id;

INSERT INTO memory_system.passages (kind, owner, part, content, labels, agent_id, timestamp, importance_score, tags, stream_seq, recorded_at)
SELECT 'concept', id::text, 0, concept || ': ' || content, knowledge_type, 'mesh', created_at, confidence_score, '{}', log_position, created_at
FROM memory_system.semantic_memory
ORDER BY created_at, id;

INSERT INTO memory_system.spaces (model, dimensions) SELECT model, dimensions FROM memory_system.embedding_space;

INSERT INTO memory_system.vectors (space, passage, embedding)
SELECT s.id, p.id, v.embedding
FROM memory_system.spaces AS s, memory_system.episode_embeddings AS v
JOIN memory_system.episodes AS e ON e.id = v.id
JOIN memory_system.passages AS p ON p.owner = e.episode_id
WHERE p.kind <> 'concept'
UNION ALL
SELECT s.id, p.id, c.embedding
FROM memory_system.spaces AS s, memory_system.semantic_memory AS c
JOIN memory_system.passages AS p ON p.owner = c.id::text AND p.kind = 'concept'
WHERE c.embedding IS NOT NULL;

INSERT INTO memory_system.unembedded (urgency, passage)
SELECT q.urgency, p.id
FROM memory_system.unembedded_episodes AS q
JOIN memory_system.episodes AS e ON e.id = q.id
JOIN memory_system.passages AS p ON p.owner = e.episode_id AND p.kind <> 'concept'
UNION ALL
SELECT 0, p.id
FROM memory_system.semantic_memory AS c
JOIN memory_system.passages AS p ON p.owner = c.id::text AND p.kind = 'concept'
WHERE c.embedding IS NULL;

DROP TABLE memory_system.episode_embeddings, memory_system.unembedded_episodes, memory_system.embedding_space;
ALTER TABLE memory_system.episodes DROP COLUMN search_terms, DROP COLUMN labels;
DROP INDEX memory_system.semantic_memory_unembedded;
COMMENT ON COLUMN memory_system.semantic_memory.embedding IS 'A copy of its passage''s vector, for people who look; searches read vectors.';

CREATE INDEX passages_by_agent ON memory_system.passages (agent_id, timestamp, id);
CREATE INDEX passages_by_tag ON memory_system.passages USING gin (tags);
CREATE INDEX passages_by_term ON memory_system.passages USING gin (search_terms);

CREATE INDEX passages_by_session ON memory_system.passages (agent_id, session_id, timestamp, id) WHERE part = 0 AND content <> '';

-- How often a text has a term, read out of ts_rank: for one term it is the sum of 1/i² for i = 1 … n, over π²/6. The tail of that
-- sum is about 1 / (n + 1/2), and rounding makes it exact for every n that a tsvector can hold (255); a test shows it.
CREATE FUNCTION memory_system.term_frequency(terms tsvector, term tsquery) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT round(0.607927101854027::float8 / (1 - ts_rank('{1, 1, 1, 1}'::real[], terms, term)) - 0.5)
$$;

-- How much there is to search now, for each agent: BM25 weighs a term by its rareness and a text by its length. What has ended
-- counts no more. Kept by the triggers below in the transaction that changes the passages, so that no writer can forget it.
CREATE TABLE memory_system.corpora (
    agent_id varchar(100) PRIMARY KEY,
    passages bigint NOT NULL,
    texts bigint NOT NULL, -- what they are passages of
    terms bigint NOT NULL -- distinct terms of each passage, added up
);

CREATE FUNCTION memory_system.add_to_corpora(changed memory_system.corpora[]) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO memory_system.corpora AS known (agent_id, passages, texts, terms)
    SELECT agent_id, sum(passages), sum(texts), sum(terms) FROM unnest(changed) GROUP BY agent_id ORDER BY agent_id
    ON CONFLICT (agent_id) DO UPDATE SET
        passages = known.passages + excluded.passages, texts = known.texts + excluded.texts, terms = known.terms + excluded.terms
$$;

CREATE FUNCTION memory_system.count_passages() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    changed memory_system.corpora[] = '{}';
BEGIN
    IF TG_OP <> 'DELETE' THEN
        changed = changed || ARRAY(
            SELECT ROW(agent_id, count(*), count(*) FILTER (WHERE part = 0), sum(length(search_terms)))::memory_system.corpora
            FROM come WHERE ended_seq IS NULL GROUP BY agent_id
        );
    END IF;
    IF TG_OP <> 'INSERT' THEN
        changed = changed || ARRAY(
            SELECT ROW(agent_id, -count(*), -count(*) FILTER (WHERE part = 0), -sum(length(search_terms)))::memory_system.corpora
            FROM gone WHERE ended_seq IS NULL GROUP BY agent_id
        );
    END IF;
    PERFORM memory_system.add_to_corpora(changed);
    DELETE FROM memory_system.corpora AS c USING unnest(changed) AS u WHERE TG_OP <> 'INSERT' AND c.agent_id = u.agent_id AND c.passages = 0;
    RETURN NULL;
END
$$;

INSERT INTO memory_system.corpora (agent_id, passages, texts, terms)
SELECT agent_id, count(*), count(*) FILTER (WHERE part = 0), sum(length(search_terms))
FROM memory_system.passages
WHERE ended_seq IS NULL
GROUP BY agent_id;

CREATE TRIGGER passages_come AFTER INSERT ON memory_system.passages REFERENCING NEW TABLE AS come
FOR EACH STATEMENT EXECUTE FUNCTION memory_system.count_passages();
CREATE TRIGGER passages_change AFTER UPDATE ON memory_system.passages REFERENCING OLD TABLE AS gone NEW TABLE AS come
FOR EACH STATEMENT EXECUTE FUNCTION memory_system.count_passages();
CREATE TRIGGER passages_go AFTER DELETE ON memory_system.passages REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION memory_system.count_passages();
