"""Spaces: whose vectors a database holds, how another one takes their place, and what a wrong one is told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
import pytest_asyncio

from bus.errors import Misconfigured
from memory.arrivals import Arrivals
from memory.database import Database, Statement
from memory.embedder import Embedder
from memory.embedding import Embedding
from memory.episode_row import EpisodeRow
from memory.episodes import episode_states
from memory.positions import positions
from memory.settings import MemorySettings
from memory.space_index import make
from memory.spaces import Space, SpaceMismatch, begin_space, claim_space, clear_away, set_state, spaces
from tests.memory.endpoint import DIMENSIONS, Bag

MakeRow = Callable[..., EpisodeRow]
Remember = Callable[[Sequence[EpisodeRow]], Any]

VECTORS = Statement("test", "SELECT space, count(*) AS count FROM memory_system.vectors GROUP BY space ORDER BY space")
QUEUE = Statement("test", "SELECT p.owner FROM memory_system.unembedded JOIN memory_system.passages AS p ON p.id = passage ORDER BY p.id")
INDEXES = Statement("test", "SELECT relname::text FROM pg_class WHERE relname LIKE 'vectors_nearest%' ORDER BY relname")
COPIES = Statement("test", "SELECT vector_dims(embedding) AS dimensions FROM memory_system.semantic_memory")
TAKE_FROM_2 = Statement("test", "DELETE FROM memory_system.vectors WHERE (space, passage) = ($1, 2)")
GIVE_TO_4 = Statement(
    "test", "INSERT INTO memory_system.vectors SELECT $1, 4, embedding FROM memory_system.vectors WHERE passage = 1 LIMIT 1"
)
WAITING = Statement("test", "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
COPY_ALL = Statement("test", "INSERT INTO memory_system.vectors SELECT $1, passage, embedding FROM memory_system.vectors WHERE space <> $1")


@pytest_asyncio.fixture
async def embedding() -> AsyncIterator[Embedding]:
    opened = Embedding(Bag("old"))
    yield opened
    opened.close()


@pytest_asyncio.fixture
async def old(database: Database) -> Space:
    return await claim_space(database, "old", DIMENSIONS)


@pytest.fixture
def embedder(database: Database, embedding: Embedding, old: Space, settings: MemorySettings) -> Embedder:
    return Embedder(database, embedding, old, Arrivals(database, embeds=True, recheck_s=1), settings)


@pytest_asyncio.fixture
async def embedded(embedder: Embedder, make_row: MakeRow, remember: Remember) -> None:
    """Three episodes with vectors of the old space."""
    await remember([make_row(n, f"alpha {n}") for n in (1, 2, 3)])
    while await embedder.embed_some():
        pass


async def known(database: Database) -> dict[str, str]:
    async with database.connection() as connection:
        return {space.model: space.state for space in await spaces(database, connection)}


async def count(database: Database) -> dict[int, int]:
    return {r["space"]: r["count"] for r in await database.rows(VECTORS)}


async def queue(database: Database) -> list[str]:
    return [r["owner"] for r in await database.rows(QUEUE)]


class TestClaiming:
    async def test_the_first_is_recorded_with_its_index_and_the_same_may_come_again(self, database: Database, old: Space) -> None:
        assert await claim_space(database, "old", DIMENSIONS) == old
        assert await known(database) == {"old": "current"}
        assert [r["relname"] for r in await database.rows(INDEXES)] == [f"vectors_nearest_{old.id}"]

    async def test_another_model_is_an_error_that_names_both_and_says_what_to_do(self, database: Database, embedded: None) -> None:
        with pytest.raises(SpaceMismatch) as mismatch:
            await claim_space(database, "new", 8)
        assert str(mismatch.value) == (
            "the database holds vectors of old (32 dimensions), the settings name new (8 dimensions), and the two cannot be compared: "
            "go on with the old settings, run `cerebro memory reembed` with the new ones, then start again"
        )
        assert isinstance(mismatch.value, Misconfigured)
        assert await known(database) == {"old": "current"}

    async def test_the_same_model_with_other_dimensions_is_another_space(self, database: Database, embedded: None) -> None:
        with pytest.raises(SpaceMismatch, match=r"old \(32 dimensions\), the settings name old \(16 dimensions\)"):
            await claim_space(database, "old", 16)

    async def test_a_space_without_vectors_is_replaced(self, database: Database, old: Space, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(1, "alpha")])
        await claim_space(database, "new", 8)
        assert await known(database) == {"old": "retired", "new": "current"}
        assert await queue(database) == ["event-1"]

    async def test_one_that_is_being_filled_cannot_be_claimed_yet(self, database: Database, embedded: None) -> None:
        await begin_space(database, "new", 8)
        with pytest.raises(SpaceMismatch, match="which is being filled: go on with the old settings"):
            await claim_space(database, "new", 8)

    async def test_one_that_is_ready_takes_the_place_and_the_queue_holds_what_it_lacks(
        self, database: Database, old: Space, embedded: None, make_row: MakeRow, remember: Remember
    ) -> None:
        new = await begin_space(database, "new", DIMENSIONS)
        await database.rows(COPY_ALL, new.id)
        await database.rows(TAKE_FROM_2, new.id)
        await remember([make_row(4, "alpha 4"), make_row(5, "alpha 5")])
        await database.rows(GIVE_TO_4, new.id)
        await set_state(database, new, "ready")
        before = await positions(database)
        assert await claim_space(database, "new", DIMENSIONS) == Space(new.id, "new", DIMENSIONS)
        assert await known(database) == {"old": "retired", "new": "current"}
        assert await queue(database) == ["event-2", "event-5"]
        assert await positions(database) != before, "answers of before must not be taken for answers of now"


class TestTheFormerSpace:
    async def test_its_vectors_and_its_index_are_deleted_and_concepts_have_copies_of_the_new(
        self, database: Database, old: Space, embedder: Embedder, embedded: None, make_concept: MakeRow, remember: Remember
    ) -> None:
        await remember([make_concept(9, "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000", content="alpha")])
        await embedder.embed_some()
        new = await begin_space(database, "new", 8)
        ones = "INSERT INTO memory_system.vectors SELECT $1, id, ('[' || repeat('1,', 7) || '1]')::halfvec FROM memory_system.passages"
        await database.rows(Statement("test", ones), new.id)
        await set_state(database, new, "ready")
        claimed = await claim_space(database, "new", 8)
        await make(database, claimed, MemorySettings(), str)
        assert await count(database) == {old.id: 4, new.id: 5}, (
            "the entry of the log is a passage too, which the old space has no vector of"
        )
        await clear_away(database, claimed, 0.01)
        assert await count(database) == {new.id: 5}
        assert await known(database) == {"new": "current"}
        assert [r["relname"] for r in await database.rows(INDEXES)] == [f"vectors_nearest_{new.id}"]
        assert [r["dimensions"] for r in await database.rows(COPIES)] == [8]

    async def test_who_still_embeds_in_it_stops_and_takes_nothing_from_the_queue(
        self, database: Database, old: Space, embedder: Embedder, embedded: None, make_row: MakeRow, remember: Remember
    ) -> None:
        new = await begin_space(database, "new", DIMENSIONS)
        await database.rows(COPY_ALL, new.id)
        await set_state(database, new, "ready")
        await claim_space(database, "new", DIMENSIONS)
        with pytest.raises(SpaceMismatch, match=r"old \(32 dimensions\) is retired now"):
            await embedder.embed_some()
        await remember([make_row(4, "alpha 4")])
        with pytest.raises(SpaceMismatch):
            await embedder.embed_some()
        assert await queue(database) == ["event-4"]
        assert await count(database) == {old.id: 3, new.id: 3}


class TestForgottenMeanwhile:
    async def test_a_passage_that_is_deleted_while_its_vector_is_kept_gets_none_and_nothing_fails(
        self, database: Database, old: Space, embedder: Embedder, make_row: MakeRow, remember: Remember
    ) -> None:
        await remember([make_row(n, f"alpha {n}") for n in (1, 2, 3)])
        async with database.transaction() as forgetting:
            await forgetting.execute("DELETE FROM memory_system.passages WHERE owner = 'event-2'")
            embedding = asyncio.create_task(embedder.embed_some())
            while not await database.rows(WAITING):
                await asyncio.sleep(0)
        assert await embedding == 3
        assert await count(database) == {old.id: 2}
        assert await queue(database) == []


class TestBeginning:
    async def test_what_was_begun_is_gone_on_with_and_another_target_gives_it_up(self, database: Database, embedded: None) -> None:
        first = await begin_space(database, "new", 8)
        assert await begin_space(database, "new", 8) == first
        await begin_space(database, "newer", 8)
        assert await known(database) == {"old": "current", "new": "retired", "newer": "filling"}
        with pytest.raises(SpaceMismatch, match=r"new \(8 dimensions\) is retired now"):
            await set_state(database, first, "ready")

    async def test_the_current_space_needs_no_filling(self, database: Database, old: Space) -> None:
        with pytest.raises(Misconfigured, match=r"current space is old \(32 dimensions\) already"):
            await begin_space(database, "old", DIMENSIONS)


class TestSearchable:
    async def test_a_vector_in_a_space_that_is_being_filled_makes_nothing_searchable(
        self, database: Database, embedded: None, make_row: MakeRow, remember: Remember
    ) -> None:
        new = await begin_space(database, "new", DIMENSIONS)
        await remember([make_row(4, "alpha 4")])
        await database.rows(Statement("test", "INSERT INTO memory_system.vectors SELECT $1, id, '[1]' FROM memory_system.passages"), new.id)
        assert await episode_states(database, ["event-1", "event-4"]) == {"event-1": True, "event-4": False}


class TestWithoutAModel:
    async def test_vectors_outlive_a_time_without_and_what_came_meanwhile_waits(
        self, database: Database, old: Space, embedded: None, make_row: MakeRow, remember: Remember
    ) -> None:
        await remember([make_row(4, "alpha 4")])
        assert await claim_space(database, "old", DIMENSIONS) == old
        assert await count(database) == {old.id: 3}
        assert await queue(database) == ["event-4"]
