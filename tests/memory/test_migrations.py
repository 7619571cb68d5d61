"""Migrations: twice is once, two at a time are one after the other, and what stands in the files is what is run."""

import asyncio

import asyncpg
from alembic.config import Config
from alembic.script import ScriptDirectory

from memory import migrations

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


class TestMigrations:
    async def test_three_at_once_and_once_more_make_one_schema(self, fresh_database: str) -> None:
        await asyncio.gather(*(migrations.apply(fresh_database) for _ in range(3)))
        await migrations.apply(fresh_database)
        connection = await asyncpg.connect(fresh_database)
        versions = await connection.fetch("SELECT version_num FROM memory_system.alembic_version")
        assert [version["version_num"] for version in versions] == [migrations.HEAD]
        await connection.close()

    async def test_the_tables_have_every_column_of_the_specification(self, fresh_database: str) -> None:
        await migrations.apply(fresh_database)
        connection = await asyncpg.connect(fresh_database)
        rows = await connection.fetch("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'memory_system'")
        await connection.close()
        known = {(row["table_name"], row["column_name"]) for row in rows}
        assert {(table, column) for table, columns in COLUMNS.items() for column in columns} <= known

    async def test_vector_is_the_only_extension(self, fresh_database: str) -> None:
        await migrations.apply(fresh_database)
        connection = await asyncpg.connect(fresh_database)
        extensions = {row["extname"] for row in await connection.fetch("SELECT extname FROM pg_extension")}
        await connection.close()
        assert extensions == {"plpgsql", "vector"}

    def test_head_is_the_newest_file(self) -> None:
        config = Config()
        config.set_main_option("script_location", str(migrations.FOLDER))
        assert ScriptDirectory.from_config(config).get_current_head() == migrations.HEAD

    def test_from_the_newest_revision_there_is_nothing_to_do(self) -> None:
        assert migrations.upgrade_script(migrations.HEAD).strip() == ""
