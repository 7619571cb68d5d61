"""Migrations: twice is once, two at a time are one after the other, and what stands in the files is what is run."""

import asyncio

import asyncpg
import msgspec
from alembic.config import Config
from alembic.script import ScriptDirectory

from memory import migrations
from memory.cache import Cache
from memory.concepts import get_concept
from memory.database import Database
from memory.episodes import episode_states
from memory.search import Search
from memory.settings import MemorySettings
from memory.stats import COUNT
from schemas.concepts import ConceptById
from schemas.memory import SearchRequest

COLUMNS = {
    "episodes": {
        "id", "episode_id", "agent_id", "timestamp", "action_type", "action_details", "context_state", "importance_score", "tags",
        "consolidated", "cross_reference", "project_dna_id", "handoff_packet",
    },
    "working_memory": {
        "id", "session_id", "agent_id", "context_key", "context_data", "tags", "expiry_time", "created_at",
    },
    "semantic_memory": {
        "id", "concept", "content", "embedding", "knowledge_type", "confidence_score", "source_episodes",
    },
}  # fmt: skip
"""Every column of the specification."""


OF_0001 = """
INSERT INTO memory_system.episodes
    (episode_id, kind, agent_id, timestamp, action_type, action_details, tags, subject, stream_seq, recorded_at, content_hash, content,
    labels)
SELECT 'event-' || n, 'episode', 'nexus', now(), 'note', '{}', ARRAY['x'], 's', n, now(), '', 'alpha ' || n, 'note x'
FROM generate_series(1, 3) AS n;
INSERT INTO memory_system.semantic_memory (id, concept, content, log_position, embedding)
VALUES ('0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000', 'pool', 'sizing', 2, '[1,0]'), (gen_random_uuid(), 'other', 'thing', 2, NULL);
INSERT INTO memory_system.embedding_space (model, dimensions) VALUES ('words', 2);
INSERT INTO memory_system.episode_embeddings SELECT id, '[0,1]' FROM memory_system.episodes WHERE stream_seq < 3;
INSERT INTO memory_system.unembedded_episodes SELECT 0, id FROM memory_system.episodes WHERE stream_seq = 3;
"""


class TestUpgrade:
    async def test_what_was_remembered_by_the_first_release_is_found_by_this_one(
        self, bare_database: str, settings: MemorySettings
    ) -> None:
        connection = await asyncpg.connect(bare_database)
        await connection.execute(f"CREATE SCHEMA {migrations.SCHEMA}")
        await connection.execute(migrations.upgrade_script(None, "0001"))
        await connection.execute(OF_0001)
        await connection.close()
        await migrations.apply(bare_database)
        database = Database(msgspec.structs.replace(settings, postgres_dsn=bare_database))
        await database.open()
        search = Search(database, Cache("redis://127.0.0.1:1", "", 0.1, 1), None, None, settings)
        assert {hit.id for hit in (await search.find(SearchRequest(query="alpha", tags=["x"]))).results} == {
            "event-1",
            "event-2",
            "event-3",
        }
        assert [hit.kind for hit in (await search.find(SearchRequest(query="pool"))).results] == ["concept"]
        assert await episode_states(database, ["event-1", "event-3"]) == {"event-1": True, "event-3": False}
        counted = await database.row(COUNT)
        assert counted is not None
        assert (counted["concepts"], counted["unembedded"]) == (2, 2)
        concept = await get_concept(database, ConceptById(id="0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000"))
        assert (concept.content, concept.version, concept.origin) == ("sizing", 1, "told")
        await database.close()


class TestMigrations:
    async def test_three_at_once_and_once_more_make_one_schema(self, bare_database: str) -> None:
        await asyncio.gather(*(migrations.apply(bare_database) for _ in range(3)))
        await migrations.apply(bare_database)
        connection = await asyncpg.connect(bare_database)
        versions = await connection.fetch("SELECT version_num FROM memory_system.alembic_version")
        assert [version["version_num"] for version in versions] == [migrations.HEAD]
        await connection.close()

    async def test_the_tables_have_every_column_of_the_specification(self, bare_database: str) -> None:
        await migrations.apply(bare_database)
        connection = await asyncpg.connect(bare_database)
        rows = await connection.fetch("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'memory_system'")
        await connection.close()
        known = {(row["table_name"], row["column_name"]) for row in rows}
        assert {(table, column) for table, columns in COLUMNS.items() for column in columns} <= known

    async def test_vector_is_the_only_extension(self, bare_database: str) -> None:
        await migrations.apply(bare_database)
        connection = await asyncpg.connect(bare_database)
        extensions = {row["extname"] for row in await connection.fetch("SELECT extname FROM pg_extension")}
        await connection.close()
        assert extensions == {"plpgsql", "vector"}

    def test_head_is_the_newest_file(self) -> None:
        config = Config()
        config.set_main_option("script_location", str(migrations.FOLDER))
        assert ScriptDirectory.from_config(config).get_current_head() == migrations.HEAD

    def test_from_the_newest_revision_there_is_nothing_to_do(self) -> None:
        assert migrations.upgrade_script(migrations.HEAD).strip() == ""
