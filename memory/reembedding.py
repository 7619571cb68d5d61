"""Reembedding: fills another space with a vector for each passage, while the memory actor goes on in the current one.

    begin      the space is recorded as `filling`, or found: what was begun and killed goes on where it was
    fill       every passage in the order of its id, a window at a time; a batch of vectors is a transaction
    index      made while others write
    fill       what has arrived meanwhile
    ready      from here on the memory actor, when it is started with these settings, makes it the current space

The queue of the current space is not touched. What arrives after the last look is queued when the space is claimed.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

import asyncpg
import msgspec

from bus.errors import Unavailable
from memory.database import RAISED, Database, statement
from memory.embedding import Embedding, EmbeddingFailed, in_lanes
from memory.settings import MemorySettings
from memory.space_index import make
from memory.spaces import Space, begin_space, clear_away, hold, set_state

LOOK: Final = statement("look_at_passages")
FILL: Final = statement("fill_vectors")
COUNT: Final = statement("count_to_fill")
TRY_LOCK: Final = statement("try_reembed_lock")
UNLOCK: Final = statement("unlock_reembed")

LOCK: Final = 0x43657265_62726F_02
"""Key of the advisory lock: one reembedding at a time."""
WINDOW_LEN: Final = 1_000
"""How many passages are looked at by one statement."""
SAY_EVERY_S: Final = 2.0
"""How often progress is said."""

Say = Callable[[str], None]
T = TypeVar("T")


class Progress:
    """How far it is, and how fast it goes since it began or went on."""

    def __init__(self, say: Say, done: int, total: int, now: float) -> None:
        self._say = say
        self._done = done
        self._total = total
        self._began_with, self._began_at = done, now
        self._said_at, self._said_done = now, -1

    def add(self, count: int, now: float) -> None:
        """So many vectors more, at `now` (seconds, monotonic); said now and then."""
        self._done += count
        if now - self._said_at >= SAY_EVERY_S:
            self.tell(now)

    def tell(self, now: float) -> None:
        """Say it now, unless it was just said."""
        if self._done == self._said_done:
            return
        self._said_at, self._said_done = now, self._done
        self._say(line(self._done, max(self._total, self._done), (self._done - self._began_with) / max(now - self._began_at, 1e-9)))


def line(done: int, total: int, per_s: float) -> str:
    """How far it is, as people read it."""
    share = f"{done:>9,} / {total:,} passages"
    if done >= total or per_s <= 0:
        return share
    left_s = round((total - done) / per_s)
    return f"{share}  {per_s:,.0f}/s  {left_s // 3600}:{left_s // 60 % 60:02}:{left_s % 60:02} left"


class Reembedding:
    """One change of the space. `say` hears a sentence for people now and then."""

    def __init__(self, database: Database, embedding: Embedding, say: Say, settings: MemorySettings) -> None:
        self._database = database
        self._embedding = embedding
        self._say = say
        self._settings = settings
        self._pause_s = settings.reconnect_pause_s
        self._lanes = asyncio.Semaphore(embedding.lanes)
        self._said = ""

    async def run(self) -> Space:
        """Bring it to its end; the space that is ready then. Waits while PostgreSQL or the endpoint is away.

        Raises `Misconfigured` where the space is the current one already, or another process has taken it or given it up.
        """
        async with self._alone():
            space = await self._insist(begin_space, self._database, self._embedding.model, self._embedding.dimensions)
            await clear_away(self._database, None, self._pause_s)
            self._say(f"filling the space {space}")
            await self._fill(space)
            self._say("making its index")
            await self._insist(make, self._database, space, self._settings, self._tell)
            self._say("filling in what has arrived meanwhile")
            await self._fill(space)
            await self._insist(set_state, self._database, space, "ready")
        return msgspec.structs.replace(space, state="ready")

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Hold the lock that only one process can hold; a lost connection loses it, and two at once do work twice, and no harm."""
        async with self._database.connection() as connection:
            while not (await self._database.run(connection, TRY_LOCK, LOCK))[0]["held"]:
                self._tell("another process is changing the space: waiting for it")
                await asyncio.sleep(self._pause_s)
            try:
                yield
            finally:
                with suppress(*RAISED):  # a connection that was lost has lost the lock
                    await self._database.run(connection, UNLOCK, LOCK)

    async def _fill(self, space: Space) -> None:
        """Look at every passage, from the first on, and give it the vector that it should have."""
        counts = await self._insist(self._counted, space)
        progress = Progress(self._say, counts["done"], counts["total"], time.monotonic())
        after: int | None = 0
        while after is not None:
            after = await self._insist(self._window, space, after, progress)
        progress.tell(time.monotonic())

    async def _counted(self, space: Space) -> asyncpg.Record:
        async with self._database.connection() as connection:
            return (await self._database.long(connection, COUNT, space.id))[0]

    async def _window(self, space: Space, after: int, progress: Progress) -> int | None:
        """Some passages after a place; the place of the last of them, or None where there are no more."""
        rows = await self._database.rows(LOOK, space.id, after, WINDOW_LEN)
        wanted = [row for row in rows if row["text"] is not None]
        most = self._embedding.batch_len_max
        await in_lanes(self._batch(space, wanted[start : start + most], progress) for start in range(0, len(wanted), most))
        return rows[-1]["id"] if rows else None

    async def _batch(self, space: Space, rows: Sequence[asyncpg.Record], progress: Progress) -> None:
        async with self._lanes:
            vectors = await self._embedding.queue([row["text"] for row in rows])
            taken = [(row["id"], vector) for row, vector in zip(rows, vectors, strict=True) if vector is not None]
            async with self._database.transaction() as connection:
                await hold(self._database, connection, space, ("filling", "ready"))
                await self._database.run(connection, FILL, space.id, [ident for ident, _ in taken], [vector for _, vector in taken])
        progress.add(len(taken), time.monotonic())

    async def _insist(self, work: Callable[..., Awaitable[T]], *values: Any) -> T:
        """Do it, and again while PostgreSQL or the endpoint is away."""
        while True:
            try:
                return await work(*values)
            except Unavailable as e:
                self._tell(f"waiting: {e}")
                await asyncio.sleep(max(self._pause_s, e.pause_s if isinstance(e, EmbeddingFailed) else 0))

    def _tell(self, sentence: str) -> None:
        """Say it, unless it was the last such thing that was said."""
        if sentence != self._said:
            self._said = sentence
            self._say(sentence)
