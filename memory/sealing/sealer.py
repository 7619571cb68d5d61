"""The sealer: behind the persister, it makes links of what was committed, and signs the chain's head when there is news."""

import asyncio
import logging
import os
from collections.abc import Sequence
from typing import Final

import asyncpg
import msgspec

from bus import subjects
from bus.connection import Bus
from bus.errors import CerebroError
from bus.ids import derived
from memory.database import Connection, Database, statement
from memory.positions import persisted_seq
from memory.sealing.chain import GENESIS, SALT_BYTES, digest, link
from memory.sealing.keys import SealKeys
from memory.settings import MemorySettings

log = logging.getLogger("cerebro.memory")

HOLD: Final = (statement("hold_rebuild"), statement("lock_seals"))
"""Until the transaction ends, no rebuild makes rows anew and nobody else seals."""
HOLD_ROWS: Final = statement("hold_rows")
LAST_LINK: Final = statement("last_seal_link")
ROWS: Final = statement("sealed_rows")
PUT: Final = statement("put_seal_links")
NEWS: Final = statement("unsigned_links")
STREAM: Final = subjects.MESH
WINDOW: Final = 1_000
"""Places of the log that one transaction seals."""


class Link(msgspec.Struct, frozen=True):
    """The last one there is."""

    seq: int
    link: bytes


class Sealer:
    """One loop. Without `keys` the chain is kept, and nothing is signed."""

    def __init__(self, bus: Bus, database: Database, keys: SealKeys | None, settings: MemorySettings) -> None:
        self._bus = bus
        self._database = database
        self._keys = keys
        self._every_s = settings.seal_every_s

    async def run(self) -> None:
        """Seal, for ever; while a part is away, wait for it."""
        while True:
            try:
                await self.seal()
            except CerebroError as e:
                log.info("sealing waits: %s", e)
            await asyncio.sleep(self._every_s)

    async def seal(self) -> None:
        """Make links of all that is persisted, then sign. Raises `Unavailable`; what was done until then stands."""
        reached: int | None = 0
        while reached is not None:
            reached = await self._link_some(reached)
        if self._keys is not None:
            await self._sign(self._keys)

    async def _link_some(self, reached: int) -> int | None:
        """Make links of the rows in the next window of the log; how far that reaches, or None where nothing is left."""
        async with self._database.transaction() as connection:
            for held in HOLD:
                await self._database.run(connection, held)
            end = await persisted_seq(self._database, connection)
            last = await self._last(connection)
            start = max(reached, last.seq)
            window = (start, min(start + WINDOW, end))
            await self._database.run(connection, HOLD_ROWS, *window)
            if rows := await self._database.run(connection, ROWS, *window):
                await self._put(connection, last.link, rows)
        return start + WINDOW if start + WINDOW < end else None

    async def _last(self, connection: Connection) -> Link:
        found = await self._database.run(connection, LAST_LINK)
        return Link(found[0]["stream_seq"], found[0]["link"]) if found else Link(0, GENESIS)

    async def _put(self, connection: Connection, before: bytes, rows: Sequence[asyncpg.Record]) -> None:
        made = []
        for row in rows:
            salt = os.urandom(SALT_BYTES)
            of_row = digest(salt, row["columns"])
            before = link(before, row["stream_seq"], of_row)
            made.append((row["stream_seq"], salt, of_row, before))
        await self._database.run(connection, PUT, *map(list, zip(*made, strict=True)))

    async def _sign(self, keys: SealKeys) -> None:
        """Put the head on the log, unless nothing but the last seal itself was linked since."""
        async with self._database.connection() as connection:
            last = await self._last(connection)
            [news] = await self._database.run(connection, NEWS, subjects.SEAL.name)
        if not news["any"]:
            return
        seal = await asyncio.to_thread(keys.seal, STREAM, last.seq, last.link.hex())
        await self._bus.publish(subjects.SEAL, seal, msg_id=derived("seal", STREAM, seal.head), stream=STREAM)
