"""The embedder: gives every passage its vector, the urgent ones first, a batch at a time."""

import asyncio
import logging
from typing import Final

from bus.errors import Unavailable
from memory.arrivals import Arrivals
from memory.database import Database, statement
from memory.embedding import Embedding
from memory.positions import EMBEDDER, advance
from memory.settings import MemorySettings
from memory.spaces import Space

log = logging.getLogger("cerebro.memory")

NEXT: Final = statement("next_unembedded")
PUT: Final = statement("insert_vectors")


class Embedder:
    """One loop; `wake` it when there is something to do. Two of them at once do some work twice, and no harm."""

    def __init__(self, database: Database, embedding: Embedding, space: Space, arrivals: Arrivals, settings: MemorySettings) -> None:
        self._database = database
        self._embedding = embedding
        self._space = space
        self._arrivals = arrivals
        self._settings = settings
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """There is something to embed."""
        self._awake.set()

    async def run(self) -> None:
        """Work off the queue, for ever; while PostgreSQL is away, wait for it."""
        while True:
            self._awake.clear()
            try:
                if await self.embed_some():
                    continue
            except Unavailable as e:
                log.debug("the embedder waits: %s", e)
                await asyncio.sleep(self._settings.reconnect_pause_s)
                continue
            await self._rest()

    async def embed_some(self) -> int:
        """Embed one batch of passages; return how many. Raises `Unavailable`."""
        rows = await self._database.rows(NEXT, self._settings.embed_batch_len_max)
        if rows:
            vectors = await self._embedding.queue([row["content"] or row["labels"] for row in rows])
            async with self._database.transaction() as connection:
                await self._database.run(connection, PUT, self._space.id, [row["id"] for row in rows], vectors)
                await advance(self._database, connection, EMBEDDER, 0, len(rows))
            self._arrivals.embedded(row["owner"] for row in rows if row["kind"] != "concept")
        return len(rows)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._settings.embed_every_s):
                await self._awake.wait()
        except TimeoutError:
            return
