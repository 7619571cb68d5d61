"""The arms of the search, bare: the very statements that our own search runs, with the same parameters, on one connection."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from bench.databases import opened
from bench.recorded import Ran, RecordingDatabase
from memory import embedding
from memory.cache import Cache
from memory.embedding import Embedding
from memory.search import Search
from memory.settings import MemorySettings
from memory.spaces import claim_space
from schemas.memory import SearchRequest

ARM: Final = "_arm"
"""In the name of every statement that finds something; the others count, look up positions, and show what was found."""
CACHE_PREFIX: Final = "bench"
"""Our own search must not answer for the mesh's."""


class BareSearch:
    """`arms` says what our search would run for a question, and how long it takes to run it."""

    def __init__(self, database: RecordingDatabase, search: Search, embedding: Embedding) -> None:
        self.database = database
        self._search = search
        self._embedding = embedding

    async def arms(self, asked: SearchRequest) -> list[Ran]:
        """The statements of its arms."""
        self.database.taken()
        await self._search.find(asked)
        return [(statement, values) for statement, values in self.database.taken() if ARM in statement.name]

    async def run(self, arms: list[Ran]) -> dict[str, float]:
        """Milliseconds of each, one after the other."""
        times_ms: dict[str, float] = {}
        async with self.database.connection() as connection:
            for statement, values in arms:
                start = time.perf_counter()
                await connection.fetch(statement.sql, *values)
                times_ms[statement.name] = times_ms.get(statement.name, 0.0) + (time.perf_counter() - start) * 1000
        return times_ms

    async def embed(self, text: str) -> float:
        """Milliseconds to embed one question that nobody asked before."""
        start = time.perf_counter()
        await self._embedding.question(text)
        return (time.perf_counter() - start) * 1000


@asynccontextmanager
async def bare_search(postgres: str, redis: str) -> AsyncIterator[BareSearch]:
    """Our search put together as the memory actor does it."""
    settings = MemorySettings(postgres_dsn=postgres, redis_url=redis)
    async with embedding.opened(settings) as model, opened(postgres, RecordingDatabase) as database:
        assert model is not None
        space = await claim_space(database, model.model, model.dimensions)
        cache = Cache(redis, CACHE_PREFIX, settings.redis_timeout_s, settings.redis_retry_s)
        yield BareSearch(database, Search(database, cache, model, space, settings), model)
        await cache.close()
