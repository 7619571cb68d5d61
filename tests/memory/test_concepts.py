"""Semantic memory: concepts as the log forms them, version by version, with their sources, paged newest first."""

from typing import Any

import asyncpg
import pytest

from bus.errors import Refused
from memory.concepts import get_concept, list_concepts
from memory.database import Database
from memory.fold import Fold
from memory.main import projections
from schemas.concepts import ConceptById, ConceptFilter, Statement
from tests.memory.conftest import START, MakeRow, Remember

A = "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000"
B = "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0001"
TABLES = ("semantic_memory", "concept_versions", "unconsolidated")


async def tables(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of what the projection keeps, but for the numbers of passages."""
    async with database.connection() as connection:
        found = {t: [tuple(r) for r in await connection.fetch(f"SELECT * FROM memory_system.{t} ORDER BY 1, 2")] for t in TABLES}
        passages = "SELECT owner, part, content, stream_seq, ended_seq, ended_at FROM memory_system.passages ORDER BY stream_seq, owner"
        consolidated = "SELECT episode_id, consolidated FROM memory_system.episodes ORDER BY episode_id"
        return found | {sql: [tuple(r) for r in await connection.fetch(sql)] for sql in (passages, consolidated)}


class TestConcepts:
    async def test_a_concept_comes_back_with_the_sources_that_are_known(
        self, database: Database, make_row: MakeRow, make_concept: MakeRow, remember: Remember
    ) -> None:
        sources = ["event-2", "event-1", "never-seen"]
        await remember([make_row(1), make_row(2), make_concept(3, A, confidence_score=0.8, source_episodes=sources)])
        got = await get_concept(database, ConceptById(id=A))
        assert (got.confidence_score, got.source_episodes, got.version, got.origin) == (0.8, sources, 1, "told")
        assert [source.episode_id for source in got.sources] == ["event-2", "event-1"]

    @pytest.mark.parametrize("ident", [A, "no uuid", "\0"])
    async def test_an_unknown_one_is_not_found(self, database: Database, ident: str) -> None:
        with pytest.raises(Refused) as refused:
            await get_concept(database, ConceptById(id=ident))
        assert refused.value.problem().status == 404

    async def test_pages_and_filters(self, database: Database, make_concept: MakeRow, remember: Remember) -> None:
        for n in range(7):
            kind = "rule" if n % 2 else "general"
            row = make_concept(n + 1, A[:-1] + str(n), f"c{n}", "about databases", knowledge_type=kind, confidence_score=n / 10)
            await remember([row])
        first = await list_concepts(database, ConceptFilter(limit=4))
        second = await list_concepts(database, ConceptFilter(limit=4, before=first.next_before))
        assert [c.concept for c in first.concepts + second.concepts] == [f"c{n}" for n in range(6, -1, -1)]
        assert second.next_before is None
        asked = ConceptFilter(query="which database?", knowledge_type="rule", confidence_min=0.2)
        assert [c.concept for c in (await list_concepts(database, asked)).concepts] == ["c5", "c3"]

    async def test_nul_is_replaced(self, database: Database, make_concept: MakeRow, remember: Remember) -> None:
        await remember([make_concept(1, A, "a\0", "b\0")])
        assert (await get_concept(database, ConceptById(id=A))).content == "b\ufffd"

    async def test_an_id_that_is_no_uuid_is_refused_by_value_so_that_its_entry_is_buried_alone(
        self, database: Database, make_concept: MakeRow, remember: Remember
    ) -> None:
        with pytest.raises(asyncpg.DataError):
            await remember([make_concept(1, "by-hand")])


class TestVersions:
    async def test_a_later_entry_takes_the_place_of_the_earlier_and_each_is_found_as_of_its_time(
        self, database: Database, make_row: MakeRow, make_concept: MakeRow, remember: Remember
    ) -> None:
        await remember([make_row(1), make_concept(2, A, "pool", "20"), make_concept(3, A, "pool", "50"), make_concept(5, A, "pool", "80")])
        now = await get_concept(database, ConceptById(id=A))
        assert (now.content, now.version, now.created_at) == ("80", 3, "2026-11-22T10:00:02.000000Z")
        then = {2: "20", 3: "50", 4: "50", 5: "80", 2**70: "80"}
        assert {seq: (await get_concept(database, ConceptById(id=A, as_of=seq))).content for seq in then} == then
        at = START.replace(second=4)
        assert (await get_concept(database, ConceptById(id=A, as_of=at))).content == "50"
        with pytest.raises(Refused):
            await get_concept(database, ConceptById(id=A, as_of=1))

    async def test_the_passages_of_an_earlier_version_end_where_the_next_one_begins(
        self, database: Database, make_concept: MakeRow, remember: Remember
    ) -> None:
        await remember([make_concept(2, A, content="old"), make_concept(3, B, content="other"), make_concept(4, A, content="new")])
        async with database.connection() as connection:
            rows = await connection.fetch("SELECT * FROM memory_system.passages WHERE kind = 'concept' ORDER BY id")
        assert [(r["owner"], r["content"].split()[-1], r["ended_seq"]) for r in rows] == [
            (A, "old", 4),
            (B, "other", None),
            (A, "new", None),
        ]
        assert rows[0]["ended_at"] == START.replace(second=4)

    async def test_both_sides_of_a_contradiction_are_shown(self, database: Database, make_concept: MakeRow, remember: Remember) -> None:
        said = {"about": "pool", "agent_id": "nexus", "at": START}
        held = Statement(says="20", text="The pool is 20", stance="held", episode_id="event-1", **said)
        against = Statement(says="50", text="The pool is 50", stance="against", episode_id="event-2", **said)
        await remember([make_concept(3, A, statements=[held, against], contradicts=["event-2"], origin="consolidated")])
        got = await get_concept(database, ConceptById(id=A))
        assert (got.statements, got.contradicts, got.origin) == ([held, against], ["event-2"], "consolidated")

    async def test_entries_of_one_batch_or_of_many_leave_the_same_rows(
        self, database: Database, make_row: MakeRow, make_concept: MakeRow, remember: Remember
    ) -> None:
        rows = [make_row(1), make_row(2), make_concept(3, A, consolidated=["event-1", "event-4"]), make_row(4)]
        rows += [make_concept(5, A, content="more", consolidated=["event-2"]), make_concept(6, B, consolidated=[])]
        for row in rows:
            await remember([row])
        one_by_one = await tables(database)
        async with database.connection() as connection:
            await connection.execute("TRUNCATE memory_system.episodes, memory_system.passages RESTART IDENTITY CASCADE")
            await connection.execute("TRUNCATE memory_system.semantic_memory, memory_system.concept_versions")
        await remember(rows)
        assert await tables(database) == one_by_one

    async def test_a_second_and_third_delivery_changes_nothing(
        self, database: Database, make_row: MakeRow, make_concept: MakeRow, remember: Remember
    ) -> None:
        rows = [make_row(1), make_concept(2, A, consolidated=["event-1"]), make_concept(3, A, content="more")]
        await remember(rows)
        first = await tables(database)
        for _ in range(2):
            async with database.transaction() as connection:
                assert await Fold(database, projections(database)).take(connection, rows) == set()
        assert await tables(database) == first


class TestWaiting:
    async def test_what_was_said_waits_until_a_concept_holds_it(
        self, database: Database, make_row: MakeRow, make_concept: MakeRow, remember: Remember
    ) -> None:
        await remember([make_row(1), make_row(2), make_row(3, action_details={"n": 1})])
        assert await waiting(database) == ["event-1", "event-2"]
        await remember([make_concept(4, A, source_episodes=["event-1", "event-2"], consolidated=["event-2"])])
        assert await waiting(database) == ["event-1"]
        got = await get_concept(database, ConceptById(id=A))
        assert [source.consolidated for source in got.sources] == [False, True]

    async def test_an_episode_that_stands_after_the_entry_is_not_consolidated_by_it(
        self, database: Database, make_row: MakeRow, make_concept: MakeRow, remember: Remember
    ) -> None:
        await remember([make_concept(1, A, consolidated=["event-2"]), make_row(2)])
        assert await waiting(database) == ["event-2"]


async def waiting(database: Database) -> list[str]:
    async with database.connection() as connection:
        sql = "SELECT e.episode_id FROM memory_system.unconsolidated AS q JOIN memory_system.episodes AS e USING (id) ORDER BY q.id"
        return [row["episode_id"] for row in await connection.fetch(sql)]


class TestDeleting:
    async def test_without_its_versions_a_concept_is_gone_and_what_it_held_waits_again(
        self, database: Database, make_row: MakeRow, make_concept: MakeRow, remember: Remember
    ) -> None:
        rows = [make_row(1), make_row(2), make_concept(3, A, consolidated=["event-1"]), make_concept(4, A, consolidated=["event-2"])]
        await remember(rows)
        assert await waiting(database) == []
        async with database.connection() as connection:
            await connection.execute("DELETE FROM memory_system.concept_versions WHERE log_position < 10")
        assert await waiting(database) == ["event-1", "event-2"]
        with pytest.raises(Refused):
            await get_concept(database, ConceptById(id=A))
        assert (await list_concepts(database, ConceptFilter())).concepts == []

    @pytest.mark.parametrize("steps", [(0, 1), (1, 0)])
    async def test_when_the_last_version_is_taken_back_the_one_before_stands_again(
        self, database: Database, make_row: MakeRow, make_concept: MakeRow, remember: Remember, steps: tuple[int, int]
    ) -> None:
        await remember([make_row(1), make_row(2), make_concept(3, A, content="old", consolidated=["event-1"])])
        before = await tables(database)
        await remember([make_concept(4, A, content="new", consolidated=["event-2"])])
        back = (
            "DELETE FROM memory_system.concept_versions WHERE log_position >= 4",
            "UPDATE memory_system.concept_versions SET ended_seq = NULL, ended_at = NULL WHERE ended_seq >= 4",
        )
        async with database.connection() as connection:
            for step in steps:
                await connection.execute(back[step])
        after = await tables(database)
        assert {table: after[table] for table in TABLES} == {table: before[table] for table in TABLES}
