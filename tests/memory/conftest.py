"""A migrated database, and rows for it that look as if the log had brought them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from bus import subjects
from memory.arrivals import Arrivals
from memory.cache import Cache
from memory.database import Database
from memory.embedder import Embedder
from memory.embedding import Embedding
from memory.episode_row import EpisodeRow, episode_row
from memory.fold import Fold
from memory.main import projections
from memory.positions import PERSISTER, advance
from memory.search import Search
from memory.settings import MemorySettings
from memory.spaces import Space, claim_space
from schemas.concepts import ConceptFormed
from schemas.entry import Entry
from schemas.memory import Action
from tests.memory.word_model import WordModel

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)

MakeRow = Callable[..., EpisodeRow]
Remember = Callable[[Sequence[EpisodeRow]], Any]


@pytest.fixture
def settings(new_database: str) -> MemorySettings:
    return MemorySettings(postgres_dsn=new_database, embedding="none", pool_size_min=1, pool_size_max=6)


@pytest_asyncio.fixture
async def database(settings: MemorySettings) -> AsyncIterator[Database]:
    opened = Database(settings)
    await opened.open()
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def cache(redis_url: str, prefix: str) -> AsyncIterator[Cache]:
    opened = Cache(redis_url, prefix, timeout_s=1, retry_s=0.01)
    keeping = asyncio.create_task(opened.keep_trying())
    while not opened.trusted:
        await asyncio.sleep(0)
    yield opened
    keeping.cancel()
    await opened.close()


@pytest_asyncio.fixture
async def embedding() -> AsyncIterator[Embedding]:
    opened = Embedding(WordModel())
    yield opened
    opened.close()


@pytest_asyncio.fixture
async def space(database: Database) -> Space:
    return await claim_space(database, WordModel.model, WordModel.dimensions)


@pytest.fixture
def embedder(database: Database, embedding: Embedding, space: Space, settings: MemorySettings) -> Embedder:
    return Embedder(database, embedding, space, Arrivals(database, embeds=True, recheck_s=1), settings)


@pytest.fixture
def search(database: Database, cache: Cache, embedding: Embedding, space: Space, settings: MemorySettings) -> Search:
    return Search(database, cache, embedding, space, settings)


@pytest.fixture
def make_row() -> MakeRow:
    """The row of an action at place `seq` of the log, a second after the one before."""

    def make(seq: int, text: str = "", *, agent: str = "nexus", event_id: str | None = None, **fields: Any) -> EpisodeRow:
        fields.setdefault("action_type", "note")
        fields.setdefault("action_details", {"text": text or f"note {seq}"})
        entry = Entry(
            seq=seq,
            time=START + timedelta(seconds=seq),
            event_id=event_id or f"event-{seq}",
            subject=subjects.EPISODE.subject(agent=agent),
            name=subjects.EPISODE.name,
            tokens={"agent": agent},
            body=Action(**fields),
        )
        return episode_row(entry)

    return make


@pytest.fixture
def make_concept() -> MakeRow:
    """The row of an entry that forms a concept at place `seq` of the log."""

    def make(seq: int, concept_id: str, concept: str = "concept", content: str = "content", **fields: Any) -> EpisodeRow:
        entry = Entry(
            seq=seq,
            time=START + timedelta(seconds=seq),
            event_id=f"formed-{seq}",
            subject=subjects.CONCEPT.subject(concept=concept_id),
            name=subjects.CONCEPT.name,
            tokens={"concept": concept_id},
            body=ConceptFormed(concept=concept, content=content, **fields),
        )
        return episode_row(entry)

    return make


@pytest.fixture
def remember(database: Database) -> Remember:
    """Put rows in as the persister does."""

    async def put(rows: Sequence[EpisodeRow]) -> set[int]:
        async with database.transaction() as connection:
            taken = await Fold(database, projections(database)).take(connection, rows)
            await advance(database, connection, PERSISTER, rows[-1].stream_seq, len(taken))
        return taken

    return put
