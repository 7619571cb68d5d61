"""Each index serves a query that exists: the planner takes it for the very statement and values that the code sends.

Tables hold enough rows that a scan would be dearer; nothing is forbidden to the planner.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio
from pgvector import HalfVector

from memory import embedder, graph, open_tasks, working
from memory.cache import Cache
from memory.concepts import get_concept, list_concepts
from memory.consolidation import reading, run
from memory.consolidation.likeness import profiles
from memory.continuity import Continuations
from memory.database import Connection, Database, Statement, statement
from memory.embedding import Embedding
from memory.episodes import episode_states, get_episodes, recent_episodes
from memory.forgetting import eraser, forgetter, projection
from memory.sealing import sealer, verifying
from memory.search import Search
from memory.settings import MemorySettings
from memory.spaces import Space, claim_space
from schemas.concepts import ConceptById, ConceptFilter, ConsolidateRequest
from schemas.continuity import ContinuityRequest
from schemas.graph import GraphRequest
from schemas.memory import RecentFilter, SearchRequest, WorkingFilter, WorkingKey
from tests.memory.conftest import START

ROWS = 20_000
DIMENSIONS = 8

FILL = f"""
INSERT INTO memory_system.episodes
    (episode_id, kind, agent_id, timestamp, action_type, action_details, importance_score, tags, subject, stream_seq, recorded_at, content_hash, content)
SELECT 'event-' || n, 'episode', 'agent-' || n % 100, '2026-01-01Z'::timestamptz + n * interval '1 second', 'type-' || n % 100, '{{}}', 0.5,
    ARRAY['tag-' || n % 500], 's', n, '2026-01-01Z'::timestamptz + n * interval '1 second', '', 'word' || n % 1000
FROM generate_series(1, {ROWS}) AS n;
INSERT INTO memory_system.passages
    (kind, owner, part, content, labels, agent_id, session_id, timestamp, importance_score, tags, stream_seq, recorded_at)
SELECT kind, episode_id, 0, content, 'label', agent_id, 'session-' || id % 1000, timestamp, importance_score, tags, stream_seq, recorded_at
FROM memory_system.episodes;
INSERT INTO memory_system.vectors (space, passage, embedding)
SELECT (SELECT id FROM memory_system.spaces), id, ARRAY(SELECT sin(id * 7.0 + d)::real FROM generate_series(1, {DIMENSIONS}) AS d)::halfvec
FROM memory_system.passages;
INSERT INTO memory_system.semantic_memory (id, concept, content, knowledge_type, log_position, created_at, updated_at, key_terms)
SELECT gen_random_uuid(), 'concept' || n, 'word' || n % 1000, 'type-' || n % 100, 0, '2026-01-01Z'::timestamptz + n * interval '1 second',
    '2026-01-01Z', ARRAY['word' || n % 1000]
FROM generate_series(1, {ROWS}) AS n;
INSERT INTO memory_system.concept_versions (
    id, version, concept, content, knowledge_type, confidence_score, source_episodes, consolidated, origin, contradicts, statements, key_terms,
    created_at, updated_at, log_position)
SELECT id, version, concept, content, knowledge_type, confidence_score, source_episodes, '{{}}', origin, contradicts, statements, key_terms, created_at,
    updated_at, log_position
FROM memory_system.semantic_memory;
INSERT INTO memory_system.unconsolidated (id, examined, key_terms) SELECT id, id > 50, ARRAY['word' || id % 1000] FROM memory_system.episodes;
INSERT INTO memory_system.working_memory (session_id, agent_id, context_key, context_data, expiry_time)
SELECT 'session-' || n % 1000, 'agent-' || n % 100, 'key-' || n, '{{}}', now() + (n - 10) * interval '1 minute' FROM generate_series(1, {ROWS}) AS n;
UPDATE memory_system.episodes SET
    handoff_packet = CASE WHEN stream_seq % 10 = 0 THEN '{{}}'::jsonb END,
    project_dna_id = CASE WHEN stream_seq % 20 = 0 THEN gen_random_uuid() END;
INSERT INTO memory_system.episodes
    (episode_id, kind, agent_id, timestamp, action_type, action_details, subject, stream_seq, recorded_at, content_hash, content)
SELECT 'felt-' || n, 'episode', 'agent-' || n % 100, now(), 'emotion.affect', '{{"valence": 0, "arousal": 0, "dominance": 0, "label": "", "cause": ""}}',
    'mesh.emotion.agent-' || n % 100, n, now(), '', ''
FROM generate_series(1, 2000) AS n;
INSERT INTO memory_system.edges (source, source_kind, kind, target, target_kind, agent_id, stream_seq, recorded_at)
SELECT 'event-' || n, 'episode', 'mentions', 'event-' || n / 2, NULL, 'agent-1', n, now() FROM generate_series(1, {ROWS}) AS n
UNION ALL
SELECT 'event-' || n, 'episode', 'caused', 'task-' || n, 'task', 'agent-1', n, now() FROM generate_series(1, {ROWS}, 10) AS n;
INSERT INTO memory_system.tasks (task_id, submission, submitted_seq, expires_at, fence, agent_id, assigned_seq, assigned_at, settled)
SELECT 'task-' || n, 'event-' || n, n, now() + interval '1 day', 1, CASE WHEN n % 100 = 1 THEN 'agent-' || n % 700 END, n, now(), false
FROM generate_series(1, {ROWS}, 10) AS n;
INSERT INTO memory_system.unembedded SELECT 1, id FROM memory_system.passages;
INSERT INTO memory_system.forgettings
SELECT 'receipt-' || n, 'selector-' || n, n, '2026-01-01Z', 1, 1, '{{}}', 1, 0, 0, 0, 0, 0, true, '{{}}' FROM generate_series(1, {ROWS}) AS n;
INSERT INTO memory_system.erasures SELECT receipt, true FROM memory_system.forgettings;
INSERT INTO memory_system.forgotten_ids SELECT sha256(n::text::bytea), 'receipt-' || n, n FROM generate_series(1, {ROWS}) AS n;
INSERT INTO memory_system.seal_links SELECT n, NULL, '', '' FROM generate_series(1, {ROWS}) AS n;
INSERT INTO memory_system.log_copies SELECT n, 'event-' || n FROM generate_series(1, {ROWS}) AS n;
"""  # noqa: E501


class Explaining(Database):
    """The database, noting the plan of every statement before it runs."""

    plans: dict[str, set[str]]

    async def run(self, connection: Connection, asked: Statement, *values: Any) -> list[asyncpg.Record]:
        if not any(word in asked.sql for word in ("CREATE INDEX", "LOCK TABLE", "SET LOCAL")):
            plan = await connection.fetch(f"EXPLAIN (COSTS OFF) {asked.sql}", *values)
            self.plans.setdefault(asked.name, set()).update(row[0] for row in plan)
        return await super().run(connection, asked, *values)

    def uses(self, name: str, index: str) -> bool:
        return any(index in line for line in self.plans.get(name, set()))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def explained(postgres_dsn: str, migrated: str, redis_url: str) -> AsyncIterator[Explaining]:
    """One filled database for all of these tests, and everything asked of it once."""
    server = await asyncpg.connect(postgres_dsn)
    await server.execute(f"CREATE DATABASE test_indexes TEMPLATE {migrated}")
    dsn = urlsplit(postgres_dsn)._replace(path="/test_indexes").geturl()
    settings = MemorySettings(postgres_dsn=dsn, redis_url=redis_url, pool_size_min=1, pool_size_max=2, exact_len_max=1_000)
    database = Explaining(settings)
    database.plans = {}
    await database.open()
    space = await claim_space(database, "test", DIMENSIONS)
    async with database.connection() as connection:
        await connection.execute(FILL, timeout=100)
    async with database.connection() as connection:
        await connection.execute("VACUUM ANALYZE", timeout=100)
    await ask_everything(database, space, settings)
    yield database
    await database.close()
    await server.execute("DROP DATABASE test_indexes WITH (FORCE)")
    await server.close()


class Constant:
    """A model whose texts are all alike."""

    model, dimensions = "test", DIMENSIONS

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[0.1] * DIMENSIONS for _ in texts]


async def ask_everything(database: Explaining, space: Space, settings: MemorySettings) -> None:
    late = START + timedelta(days=1)
    for asked in (
        RecentFilter(),
        RecentFilter(agent_id="agent-7"),
        RecentFilter(action_type="type-7"),
        RecentFilter(tag="tag-7"),
        RecentFilter(agent_id="agent-7", until=late),
    ):
        await recent_episodes(database, asked)
    await get_episodes(database, ["event-5"])
    await episode_states(database, ["event-5"])
    cache = Cache("redis://127.0.0.1:1", "", 0.1, 1)
    embedding = Embedding(Constant())
    search = Search(database, cache, embedding, space, settings)
    for request in (
        SearchRequest(query="word7"),
        SearchRequest(query="word7", agent_id="agent-7"),
        SearchRequest(query="x", tags=["tag-7"]),
    ):
        await search.find(request)
    embedding.close()
    await cache.close()
    page = await list_concepts(database, ConceptFilter(limit=2))
    await list_concepts(database, ConceptFilter(limit=2, knowledge_type="type-7"))
    await list_concepts(database, ConceptFilter(limit=2, query="word7"))
    await get_concept(database, ConceptById(id=page.concepts[0].concept_id))
    await ask_for_consolidation(database)
    memory = working.WorkingMemory(database, cache)
    await memory.get(WorkingKey(session_id="session-100", key="key-100"))
    await memory.list(WorkingFilter(agent_id="agent-7", limit=5))
    await memory.list(WorkingFilter(session_id="session-7", limit=5))
    await memory.sweep(5)
    await database.rows(eraser.GET, "receipt-7")
    await database.rows(eraser.IDS, ["receipt-7"])
    await database.rows(forgetter.FIND, "selector-7", b"7")
    await database.rows(projection.COPIES, ["event-7"])
    await graph.graph_around(database, GraphRequest(id="task-11"))
    await Continuations(database, memory, settings).tell(ContinuityRequest(agent_id="agent-1"))
    await database.rows(open_tasks.KNOWN, ["task-11"])
    await database.rows(graph.ERASE_ENTRIES, [5])
    await database.rows(sealer.ROWS, 100, 200)
    await database.rows(verifying.LINKS, 100, 10)
    await database.rows(embedder.NEXT, 16)
    await database.rows(embedder.PUT, space.id, [1], [HalfVector([0.1] * DIMENSIONS)])


async def ask_for_consolidation(database: Explaining) -> None:
    asked = ConsolidateRequest()
    async with database.connection() as connection:
        consolidation = reading.Reading(database, connection)
        new = profiles(await consolidation.waiting(asked, START, 10))
        await consolidation.alone(asked, new)
        await consolidation.standings(new)
        await database.run(connection, run.EXAMINED, ["event-5"], ['["word5"]'])
        await database.run(connection, run.COUNT, None, None, 10)


SERVES = {
    "episodes_episode_id_key": "get_episodes",
    "episodes_by_time": "recent_episodes",
    "episodes_by_agent": "recent_episodes",
    "episodes_by_action": "recent_episodes",
    "episodes_by_tag": "recent_episodes",
    "passages_pkey": "next_unembedded",
    "passages_by_agent": "vector_arm_exact",
    "passages_by_tag": "count_candidates",
    "passages_by_term": "text_arm",
    "passages_by_session": "neighbours",
    "passages_owner_stream_seq_part_key": "episode_states",
    "vectors_by_passage": "vector_arm_exact",
    "vectors_nearest_1": "vector_arm_nearest",
    "unembedded_pkey": "next_unembedded",
    "working_memory_session_id_context_key_key": "get_working",
    "working_memory_by_agent": "list_working",
    "working_memory_by_expiry": "sweep_working",
    "forgettings_pkey": "get_forgetting",
    "forgettings_by_selector": "find_forgetting",
    "forgotten_ids_pkey": "find_forgetting",
    "forgotten_ids_by_receipt": "forgotten_ids",
    "erasures_pkey": "get_forgetting",
    "log_copies_by_episode": "copies_of",
    "semantic_memory_pkey": "standing_concepts",
    "semantic_memory_by_key_term": "standing_like",
    "concept_versions_pkey": "get_concepts",
    "unconsolidated_pkey": "mark_examined",
    "unconsolidated_unexamined": "next_unconsolidated",
    "unconsolidated_by_term": "alone_like",
    "semantic_memory_by_time": "list_concepts",
    "semantic_memory_by_type": "list_concepts",
    "semantic_memory_by_term": "list_concepts",
    "edges_pkey": "graph_neighbours",
    "edges_by_target": "graph_neighbours",
    "edges_that_open": "graph_nodes",
    "edges_by_entry": "erase_edges_of_entries",
    "tasks_pkey": "known_tasks",
    "tasks_held": "open_tasks",
    "episodes_with_handoff": "last_handoff",
    "episodes_with_project": "project_handoffs",
    "episodes_of_affect": "last_affect",
    "episodes_by_place": "sealed_rows",
    "seal_links_pkey": "seal_links",
}
"""Index and a statement that is planned with it."""
UNIQUE_ONLY = {
    "alembic_version_pkc",
    "consumer_position_pkey",
    "late_places_pkey",
    "log_copies_pkey",
    "spaces_pkey",
    "spaces_current",
    "corpora_pkey",
    "episodes_pkey",
    "vectors_pkey",
    "unembedded_by_passage",
    "recalls_pkey",
    "consolidation_runs_pkey",
    "working_memory_pkey",
}
"""Keys of tables with a row or a few; and `working_memory.id`, the specification's primary key, that `sweep_working` deletes by."""


@pytest.mark.asyncio(loop_scope="module")
class TestIndexes:
    @pytest.mark.parametrize(("index", "name"), SERVES.items())
    async def test_it_serves_its_query(self, explained: Explaining, index: str, name: str) -> None:
        assert explained.uses(name, index), "\n".join(sorted(explained.plans[name]))

    async def test_no_index_serves_nothing(self, explained: Explaining) -> None:
        rows = await explained.rows(Statement("test", "SELECT indexname FROM pg_indexes WHERE schemaname = 'memory_system'"))
        assert {row["indexname"] for row in rows} == {*SERVES, *UNIQUE_ONLY}

    async def test_a_search_by_tag_reads_only_its_rows(self, explained: Explaining) -> None:
        assert explained.uses("count_candidates", "passages_by_tag")

    async def test_every_file_is_a_statement_that_loads(self) -> None:
        from memory.database import QUERIES

        assert all(statement(path.stem, dimensions=DIMENSIONS).sql.startswith("-- ") for path in QUERIES.glob("*.sql"))
