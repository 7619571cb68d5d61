"""The embedder: what it embeds batch by batch is put into the database together."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
import pytest_asyncio

from memory.arrivals import Arrivals
from memory.database import Database, Statement
from memory.embedder import TOGETHER, Embedder
from memory.embedding import Embedding, EmbeddingFailed, Engine
from memory.episode_row import EpisodeRow
from memory.settings import MemorySettings
from memory.spaces import claim_space
from schemas.memory import Await
from tests.memory.word_model import WordModel

BATCH = 4
PUT = Statement("test", "SELECT count(*) AS vectors, count(DISTINCT xmin::text) AS transactions FROM memory_system.vectors")


class Failing(WordModel):
    """Embeds so many batches, then fails once."""

    def __init__(self, good: int) -> None:
        self._good = good

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self._good -= 1
        if self._good == -1:
            raise EmbeddingFailed("no more")
        return super().embed(texts)


class SideBySide(Engine):
    """Answers once each of its lanes was asked."""

    model, dimensions, batch_len_max, lanes = "words", WordModel.dimensions, BATCH, 3

    def __init__(self) -> None:
        self._all = asyncio.Barrier(self.lanes)

    async def question(self, text: str) -> Any:
        return (await self.queue([text]))[0]

    async def queue(self, texts: Sequence[str]) -> Sequence[Any]:
        await self._all.wait()
        return WordModel().embed(texts)


@pytest_asyncio.fixture
async def waiting(make_row: Callable[..., EpisodeRow], remember: Callable[[Sequence[EpisodeRow]], Any]) -> int:
    """How many passages wait: more than are put together."""
    many = BATCH * TOGETHER + 1
    await remember([make_row(n, f"alpha {n}") for n in range(1, many + 1)])
    return many


@pytest.fixture
def arrivals(database: Database) -> Arrivals:
    return Arrivals(database, embeds=True, recheck_s=1)


@pytest_asyncio.fixture
async def embedding(request: pytest.FixtureRequest) -> AsyncIterator[Embedding]:
    opened = Embedding(getattr(request, "param", None) or WordModel(), BATCH)
    yield opened
    opened.close()


@pytest_asyncio.fixture
async def embedder(database: Database, embedding: Embedding, arrivals: Arrivals, settings: MemorySettings) -> Embedder:
    return Embedder(database, embedding, await claim_space(database, "words", WordModel.dimensions), arrivals, settings)


async def put(database: Database) -> tuple[int, int]:
    """How many vectors there are, and of how many transactions."""
    [found] = await database.rows(PUT)
    return found["vectors"], found["transactions"]


async def test_several_batches_are_one_transaction(database: Database, embedder: Embedder, waiting: int) -> None:
    assert await embedder.embed_some() == waiting - 1
    assert await put(database) == (waiting - 1, 1)
    await embedder.embed_some()
    assert await put(database) == (waiting, 2)


async def test_where_somebody_waits_each_is(database: Database, embedder: Embedder, arrivals: Arrivals, waiting: int) -> None:
    asked = Await(id="event-1", until="searchable", timeout_s=30)
    asking = asyncio.create_task(arrivals.wait(asked))
    while not arrivals.awaited:
        await asyncio.sleep(0)
    await embedder.embed_some()
    assert await put(database) == (BATCH, 1)
    assert (await asking).searchable


@pytest.mark.parametrize("embedding", [SideBySide()], indirect=True)
async def test_a_few_batches_are_shared_by_the_lanes(
    database: Database, embedder: Embedder, make_row: Callable[..., EpisodeRow], remember: Callable[[Sequence[EpisodeRow]], Any]
) -> None:
    many = SideBySide.lanes * BATCH
    await remember([make_row(n, f"alpha {n}") for n in range(1, many + 1)])
    async with asyncio.timeout(30):
        assert await embedder.embed_some() == many
    assert await put(database) == (many, SideBySide.lanes)


@pytest.mark.parametrize("embedding", [Failing(good=2)], indirect=True)
async def test_what_a_model_gave_before_it_failed_is_kept(database: Database, embedder: Embedder, waiting: int) -> None:
    with pytest.raises(EmbeddingFailed):
        await embedder.embed_some()
    assert await put(database) == (2 * BATCH, 1)
    while await embedder.embed_some():
        pass
    assert (await put(database))[0] == waiting
