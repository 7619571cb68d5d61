"""The scrub: deleted rows leave their bytes in the files of PostgreSQL; the tables are written again without them.

`VACUUM FULL` writes a table and its indexes anew from what is alive; the planner's samples of values are taken and written again
too; then the write-ahead log goes on in another file, and a checkpoint removes the files before (the server must not keep them
for later use: `wal_recycle = off`, which the embedded one has). Each table is locked while it is written.
"""

import asyncio
import logging
from typing import Final

import asyncpg

from bus.errors import Unavailable
from memory.database import Connection, Database, is_away, statement
from memory.settings import MemorySettings

log = logging.getLogger("cerebro.memory")

SIZE: Final = statement("scrub_size")
TABLES: Final = statement("scrub_tables")
CLEAR: Final = statement("clear_samples")
NEXT: Final = statement("next_transaction")
BEFORE: Final = statement("snapshots_before")
SWITCH: Final = statement("switch_wal")
CHECKPOINT: Final = statement("checkpoint")
LOOK_S: Final = 0.05


class Scrubber:
    """`scrub` after rows were deleted and committed."""

    def __init__(self, database: Database, settings: MemorySettings) -> None:
        self._database = database
        self._settings = settings

    async def scrub(self) -> bool:
        """Whether no byte of what was deleted is left in this server's files. False where the tables are larger than the
        settings allow, where the server does not let us, is older than 18, or has no room for a table's second copy.
        Raises `Unavailable`; then it is to be tried again.
        """
        async with self._database.connection() as connection:
            (size,) = await self._database.run(connection, SIZE)
            whole = size["bytes"] <= self._settings.scrub_bytes_max
            if whole:
                await self._nobody_looks_back(connection)
            try:
                await self._write_again(connection, whole=whole)
            except asyncpg.PostgresError as e:
                if is_away(e) and not isinstance(e, asyncpg.DiskFullError):
                    raise
                log.warning("PostgreSQL's files were not scrubbed: %s", e)
                return False
        if not whole:
            log.warning("PostgreSQL's files were not scrubbed: %d bytes are more than CEREBRO_MEMORY_SCRUB_BYTES_MAX", size["bytes"])
        return whole and not size["recycles"]

    async def _nobody_looks_back(self, connection: Connection) -> None:
        """Wait until no session can see what was deleted: for such a one VACUUM would keep it."""
        (now,) = await self._database.run(connection, NEXT)
        try:
            async with asyncio.timeout(self._settings.scrub_s_max):
                while True:
                    (before,) = await self._database.run(connection, BEFORE, now["xid"])
                    if before["sessions"] == 0:
                        return
                    await asyncio.sleep(LOOK_S)
        except TimeoutError as e:
            raise Unavailable("PostgreSQL: a session has been looking at what was deleted all the time") from e

    async def _write_again(self, connection: Connection, *, whole: bool) -> None:
        await self._database.run(connection, CLEAR)
        for record in await self._database.run(connection, TABLES, whole):
            await connection.execute(record["command"], timeout=self._settings.scrub_s_max)
        if whole:
            await self._database.run(connection, SWITCH)
            await connection.execute(CHECKPOINT.sql, timeout=self._settings.scrub_s_max)
