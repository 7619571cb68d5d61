"""The embedder: gives every passage its vector, the urgent ones first, a batch at a time."""

import asyncio
import logging
import math
from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from bus.errors import Unavailable
from memory.arrivals import Arrivals
from memory.database import Database, statement
from memory.embedding import Embedding, EmbeddingFailed, EndpointWrong, in_lanes
from memory.positions import EMBEDDER, advance
from memory.settings import MemorySettings
from memory.spaces import Space, hold

log = logging.getLogger("cerebro.memory")

NEXT: Final = statement("next_unembedded")
PUT: Final = statement("insert_vectors")
TOGETHER: Final = 4
"""Most batches of one lane whose vectors are put into the database together, unless somebody waits for one of them."""
DROP: Final = statement("drop_unembedded")
WAITING: Final = statement("owners_waiting")


class Embedder:
    """One loop; `wake` it when there is something to do. Two of them at once do some work twice, and no harm."""

    def __init__(self, database: Database, embedding: Embedding, space: Space, arrivals: Arrivals, settings: MemorySettings) -> None:
        self._database = database
        self._embedding = embedding
        self._space = space
        self._arrivals = arrivals
        self._settings = settings
        self._awake = asyncio.Event()
        self._said = ""

    def wake(self) -> None:
        """There is something to embed."""
        self._awake.set()

    async def run(self) -> None:
        """Work off the queue, for ever; while PostgreSQL or the endpoint is away, wait for it.

        Raises `SpaceMismatch` where another process has made another space the current one.
        """
        while True:
            self._awake.clear()
            try:
                if await self.embed_some():
                    self._said = ""
                    continue
            except EmbeddingFailed as e:
                self._say(e)
                await asyncio.sleep(max(e.pause_s, self._settings.reconnect_pause_s))
                continue
            except Unavailable as e:
                log.debug("the embedder waits: %s", e)
                await asyncio.sleep(self._settings.reconnect_pause_s)
                continue
            await self._rest()

    async def embed_some(self) -> int:
        """Embed some batches of passages; return how many were looked at, of which some stay in the queue where somebody waits for the
        others. Raises `Unavailable`, `SpaceMismatch`.
        """
        batch, lanes = self._embedding.batch_len_max, self._embedding.lanes
        rows = await self._database.rows(NEXT, batch * lanes * TOGETHER)
        if not rows:
            async with self._database.transaction() as connection:
                await hold(self._database, connection, self._space, ("current",))
            return 0
        share = batch * math.ceil(len(rows) / (batch * lanes))  # whole batches, and no lane has two while another has none
        await in_lanes(self._embed(rows[start : start + share]) for start in range(0, len(rows), share))
        return len(rows)

    async def _embed(self, rows: Sequence[asyncpg.Record]) -> None:
        """Embed these, batch by batch, and put what came of it in one transaction: one costs as much as embedding several texts."""
        vectors: list[Any] = []
        try:
            for at in range(0, len(rows), self._embedding.batch_len_max):
                batch = rows[at : at + self._embedding.batch_len_max]
                vectors += await self._embedding.queue([row["content"] or row["labels"] for row in batch])
                if self._arrivals.awaited:
                    break
        except EmbeddingFailed:
            if vectors:
                await self._put(rows[: len(vectors)], vectors)  # it is not asked for them again
            raise
        await self._put(rows[: len(vectors)], vectors)

    async def _put(self, rows: Sequence[asyncpg.Record], vectors: Sequence[Any]) -> None:
        taken = [(row["id"], vector) for row, vector in zip(rows, vectors, strict=True) if vector is not None]
        refused = [row["id"] for row, vector in zip(rows, vectors, strict=True) if vector is None]
        async with self._database.transaction() as connection:
            await hold(self._database, connection, self._space, ("current",))
            await self._database.run(connection, PUT, self._space.id, [ident for ident, _ in taken], [vector for _, vector in taken])
            if refused:
                log.warning("%s does not take passages %s: they are found by their words only", self._embedding.model, refused)
                await self._database.run(connection, DROP, refused)
            await advance(self._database, connection, EMBEDDER, 0, len(rows))
        await self._announce({row["owner"] for row in rows if row["kind"] != "concept"})

    async def _announce(self, owners: set[str]) -> None:
        """Tell that these are searchable: a long text only when its last passage is."""
        waiting = {r["owner"] for r in await self._database.rows(WAITING, list(owners))}
        self._arrivals.embedded(owners - waiting)

    def _say(self, failure: EmbeddingFailed) -> None:
        """Once for each trouble, not for each try."""
        if str(failure) != self._said:
            self._said = str(failure)
            level = logging.ERROR if isinstance(failure, EndpointWrong) else logging.WARNING
            log.log(level, "what is remembered waits for its vectors, and is found by its words meanwhile: %s", failure)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._settings.embed_every_s):
                await self._awake.wait()
        except TimeoutError:
            return
