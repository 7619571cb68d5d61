"""Hashes of tables: what they depend on, what they do not, and how they lead to the rows that differ."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from memory.database import Database
from memory.derived import DERIVED
from memory.episode_row import EpisodeRow
from memory.hashes import Difference, State, TableHash, differences

MakeRow = Callable[..., EpisodeRow]
Remember = Callable[[Sequence[EpisodeRow]], Any]

EPISODES = next(table for table in DERIVED if table.name == "episodes")


async def hashed(database: Database, first_seq: int = 1) -> TableHash:
    async with database.connection() as connection:
        return (await State(database, connection, first_seq).hashes([EPISODES]))["episodes"]


async def emptied(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("DELETE FROM memory_system.passages; DELETE FROM memory_system.episodes")


async def changed(database: Database, sql: str) -> None:
    async with database.connection() as connection:
        assert await connection.execute(f"UPDATE memory_system.episodes SET {sql} WHERE episode_id = 'event-3'") == "UPDATE 1"


class TestHash:
    async def test_the_order_of_insertion_and_the_surrogate_ids_do_not_matter(
        self, database: Database, make_row: MakeRow, remember: Remember
    ) -> None:
        rows = [make_row(seq) for seq in range(1, 40)]
        await remember(rows)
        first = await hashed(database)
        await emptied(database)
        random.Random(1).shuffle(rows)
        for row in rows:
            await remember([row])
        assert (first.rows, await hashed(database)) == (39, first)

    async def test_every_value_of_every_row_matters(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(seq) for seq in range(1, 5)])
        seen = {(await hashed(database)).hash}
        for sql in (
            "content = content || ' '",
            "importance_score = importance_score + 1e-15",
            "tags = '{a}'",
            "recorded_at = recorded_at + '1 microsecond'",
            "action_details = action_details || '{\"a\": null}'",
            "session_id = ''",
            "consolidated = true",
        ):
            await changed(database, sql)
            seen.add((await hashed(database)).hash)
        assert len(seen) == 8

    async def test_a_row_more_or_less_matters(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        empty = await hashed(database)
        await remember([make_row(1)])
        one = await hashed(database)
        await remember([make_row(2)])
        assert len({empty.hash, one.hash, (await hashed(database)).hash}) == 3

    async def test_rows_from_before_the_first_entry_do_not_count(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(seq) for seq in (1, 2, 3)])
        late = await hashed(database, 3)
        await emptied(database)
        await remember([make_row(3)])
        assert (late.rows, await hashed(database)) == (1, late)


class TestDifferences:
    async def test_they_name_the_row_and_the_column_or_who_has_the_row(
        self, database: Database, make_row: MakeRow, remember: Remember
    ) -> None:
        """One transaction that is undone is the other state."""
        await remember([make_row(seq) for seq in range(1, 30)])
        async with database.connection() as seen, seen.transaction(isolation="repeatable_read"):
            before = State(database, seen, 1)
            await before.hashes([EPISODES])  # the snapshot stands
            await changed(database, "importance_score = 0.75")
            await remember([make_row(30)])
            async with database.connection() as connection:
                await connection.execute("DELETE FROM memory_system.episodes WHERE episode_id = 'event-7'")
                found = [d async for d in differences(EPISODES, before, State(database, connection, 1), range(256))]
        by_key = {d.key: d for d in found}
        assert by_key['["event-3"]'] == Difference("episodes", '["event-3"]', "importance_score", 0.5, 0.75)
        assert (by_key['["event-7"]'].column, by_key['["event-7"]'].rebuilt) == (None, None)
        assert (by_key['["event-30"]'].column, by_key['["event-30"]'].live) == (None, None)
        assert len(found) == 3
