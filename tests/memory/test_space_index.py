"""The index of vectors that are there already: made while the mesh reads and writes, and searches are exact until it is whole."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from bus.errors import Unavailable
from memory import arms, space_index
from memory.cache import Cache
from memory.database import Database, Statement
from memory.embedder import Embedder
from memory.embedding import Embedding
from memory.episode_row import EpisodeRow
from memory.search import Search
from memory.settings import MemorySettings
from memory.space_index import MEMORY_BYTES_MIN, is_whole, keep_whole, make, memory_bytes
from memory.spaces import Space, claim_space
from schemas.memory import SearchRequest
from tests.memory.word_model import WORDS, embed_all

MakeRow = Callable[..., EpisodeRow]
Remember = Callable[[Sequence[EpisodeRow]], Any]

MANY = 40
CURRENT = Statement("test", "SELECT current_setting('maintenance_work_mem') AS memory")
SPOIL = Statement("test", "UPDATE pg_index SET indisvalid = false WHERE indexrelid::regclass::text LIKE '%vectors_nearest_%'")


@pytest_asyncio.fixture
async def lost(database: Database, embedder: Embedder, space: Space, make_row: MakeRow, remember: Remember) -> Space:
    """A space that is full of vectors, whose index is gone: so is it after a restore."""
    await remember([make_row(n, f"{WORDS[n % len(WORDS)]} {n}") for n in range(1, MANY + 1)])
    await embed_all(embedder)
    await database.rows(Statement("test", f"DROP INDEX memory_system.vectors_nearest_{space.id}"))
    return space


class TestMaking:
    async def test_who_claims_the_space_does_not_wait_for_it(self, database: Database, lost: Space) -> None:
        assert await claim_space(database, lost.model, lost.dimensions) == lost
        assert not await is_whole(database, lost)

    async def test_it_becomes_whole_and_the_connection_is_as_it_was(
        self, database: Database, lost: Space, settings: MemorySettings
    ) -> None:
        before = await database.rows(CURRENT)
        await keep_whole(database, lost, settings)
        assert await is_whole(database, lost)
        assert await database.rows(CURRENT) == before

    async def test_two_at_once_make_one(self, database: Database, lost: Space, settings: MemorySettings) -> None:
        await asyncio.gather(*(keep_whole(database, lost, settings) for _ in range(3)))
        assert await is_whole(database, lost)

    async def test_one_that_was_left_half_made_is_made_again(self, database: Database, lost: Space, settings: MemorySettings) -> None:
        await make(database, lost, settings, str)
        await database.rows(SPOIL)
        assert not await is_whole(database, lost)
        await make(database, lost, settings, str)
        assert await is_whole(database, lost)

    async def test_without_shared_memory_for_helpers_one_process_makes_it(
        self, database: Database, lost: Space, settings: MemorySettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A terabyte is asked for, which no machine here has: the helpers cannot get it, and one process takes only what it needs."""
        await database.rows(Statement("test", "ALTER TABLE memory_system.vectors SET (parallel_workers = 2)"))
        monkeypatch.setattr(space_index, "NODE_BYTES", 2**40 // MANY)
        await make(database, lost, msgspec.structs.replace(settings, index_memory_bytes_max=2**40), str)
        assert await is_whole(database, lost)
        assert "by one process, not by several" in caplog.text


class TestMeanwhile:
    async def test_searches_compare_every_vector_and_leave_nothing_out(
        self, database: Database, cache: Cache, embedding: Embedding, lost: Space, settings: MemorySettings
    ) -> None:
        """The index would be asked for more than few candidates; the answers are those that it gives afterwards."""
        few = msgspec.structs.replace(settings, exact_len_max=1, search_cache_ttl_s=0.001, search_l1_ttl_s=0.001)
        search = Search(database, cache, embedding, lost, few)
        asked = SearchRequest(query=WORDS[3], mode="vector", limit=5)
        exact = await asyncio.gather(*(search.find(asked) for _ in range(3)))
        ran = database.times()
        assert (ran["vector_arm_exact"].count > 0, "vector_arm_nearest" in ran) == (True, False)
        await make(database, lost, settings, str)
        after = Search(database, cache, embedding, lost, few)
        indexed = await after.find(msgspec.structs.replace(asked, limit=6))
        assert database.times()["vector_arm_nearest"].count > 0
        assert {hit.score for hit in exact[0].results[:1]} == {hit.score for hit in indexed.results[:1]}

    async def test_where_that_takes_too_long_words_are_searched_and_the_answer_says_so(
        self,
        database: Database,
        cache: Cache,
        embedding: Embedding,
        lost: Space,
        settings: MemorySettings,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(arms, "COMPARE_S_MAX", 0.0)
        search = Search(database, cache, embedding, lost, msgspec.structs.replace(settings, exact_len_max=1))
        answer = await search.find(SearchRequest(query=WORDS[3]))
        assert answer.results
        assert answer.degraded == "the index of vectors is being made, and to compare them all takes too long: found by its words only"
        monkeypatch.setattr(arms, "COMPARE_S_MAX", 60.0)
        with pytest.raises(Unavailable, match="to compare every vector takes too long"):  # it is not begun again so soon
            await search.find(SearchRequest(query=WORDS[3], mode="vector"))
        await make(database, lost, settings, str)
        answer = await search.find(SearchRequest(query=WORDS[3]))
        assert (answer.degraded, answer.cached) == (None, False)


class TestMemory:
    @pytest.mark.parametrize(
        ("vectors", "most", "taken"),
        [(0, 2**31, MEMORY_BYTES_MIN), (1_000_000, 2**31, 1_768_000_000), (1_000_000, 2**30, 2**30), (2_000_000, 2**31, 2**31)],
    )
    def test_as_much_as_the_vectors_need_within_the_limit(self, vectors: int, most: int, taken: int) -> None:
        assert memory_bytes(vectors, 384, most) == taken
