-- Edges between what is remembered, and open tasks.

-- Each row belongs to the one entry of the log that says so: what an entry drew goes with it, and nothing else does.
-- A kind is null where the entry names an id without saying of what.
CREATE TABLE memory_system.edges (
    source text NOT NULL,
    source_kind text CHECK (source_kind IN ('episode', 'concept', 'lesson', 'task', 'proposal', 'agent')),
    kind text NOT NULL CHECK (
        kind IN ('derived_from', 'cross_reference', 'mentions', 'caused', 'voted_on', 'assigned', 'contradicts', 'informed')
    ),
    target text NOT NULL,
    target_kind text CHECK (target_kind IN ('episode', 'concept', 'lesson', 'task', 'proposal', 'agent')),
    agent_id varchar(100) NOT NULL, -- whose entry it is
    stream_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (source, stream_seq, kind, target)
);

-- The newest first, in both directions; the primary key serves the way from the source.
CREATE INDEX edges_by_target ON memory_system.edges (target, stream_seq);
CREATE INDEX edges_that_open ON memory_system.edges (target, stream_seq)
WHERE kind = 'caused' AND source_kind = 'episode' AND target_kind IN ('task', 'proposal');
CREATE INDEX edges_by_entry ON memory_system.edges USING brin (stream_seq);

-- One row for each submitted task. `agent_id`: who has it and may still bring it to its end; null: nobody. What the task says
-- stands in the episode of its submission.
CREATE TABLE memory_system.tasks (
    task_id varchar(63) PRIMARY KEY,
    submission varchar(255) NOT NULL, -- event id
    submitted_seq bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    fence bigint NOT NULL,
    agent_id varchar(100),
    assigned_seq bigint,
    assigned_at timestamptz,
    settled boolean NOT NULL, -- its outcome stands
    ended_seq bigint -- where it was finished; from there on nothing else is kept of how it came to that
);

CREATE INDEX tasks_held ON memory_system.tasks (agent_id, assigned_seq) WHERE agent_id IS NOT NULL;

-- What an agent goes on from.
CREATE INDEX episodes_with_handoff ON memory_system.episodes (agent_id, stream_seq DESC) WHERE handoff_packet IS NOT NULL;
CREATE INDEX episodes_with_project ON memory_system.episodes (agent_id, project_dna_id, stream_seq DESC)
WHERE handoff_packet IS NOT NULL AND project_dna_id IS NOT NULL;
CREATE INDEX episodes_of_affect ON memory_system.episodes (subject, stream_seq DESC) WHERE action_type = 'emotion.affect';
