"""The index of a space's nearest vectors, made over what is there already while others read and write. Until it is whole, a search
compares every vector.

An index that a killed process left half made is made again; one that the server still makes for it is waited for.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import asyncpg

from bus.cancelling import end
from bus.errors import Unavailable
from memory.database import RAISED, Connection, Database, statement
from memory.settings import MemorySettings
from memory.spaces import COUNT, Space

log = logging.getLogger("cerebro.memory")

FIND: Final = statement("space_index")
PROGRESS: Final = statement("index_progress")
LOOK_EVERY_S: Final = 2.0
"""How often it is looked how far it is."""
ALL: Final = 2**62
"""More vectors than there are."""
NODE_BYTES: Final = 1_000
"""Of the graph, for each vector beside the vector itself: its neighbours, and what PostgreSQL needs to keep them."""
MEMORY_BYTES_MIN: Final = 64 * 1024 * 1024
"""PostgreSQL's own default."""
VECTOR_BYTES: Final = 2
"""Of one dimension, in half precision."""

Say = Callable[[str], None]


async def is_whole(database: Database, space: Space) -> bool:
    """Whether the index is there, and whole. Raises `Unavailable`."""
    found = await database.row(FIND, space.id)
    return found is not None and bool(found["valid"])


async def keep_whole(database: Database, space: Space, settings: MemorySettings) -> None:
    """See to it that the index is whole, and return; while PostgreSQL is away, wait for it."""
    while True:
        try:
            if not await is_whole(database, space):
                log.info("the index of the vectors of %s is being made; until then searches compare every vector", space)
                await make(database, space, settings, log.debug)
                log.info("the index of the vectors of %s is whole", space)
            return
        except Unavailable as e:
            log.warning("the index of the vectors of %s waits: %s", space, e)
        await asyncio.sleep(settings.reconnect_pause_s)


async def make(database: Database, space: Space, settings: MemorySettings, say: Say) -> None:
    """See to it that the space has a whole index; `say` hears now and then how far it is. Raises `Unavailable`."""
    while not await is_whole(database, space):
        if await _told(database, say):  # another process makes it, or the server does for one that is gone
            await asyncio.sleep(LOOK_EVERY_S)
            continue
        building = asyncio.create_task(_build(database, space, settings), name="index of vectors")
        try:
            while not (await asyncio.wait({building}, timeout=LOOK_EVERY_S))[0]:
                await _told(database, say)
        finally:
            await end(building)
        building.result()


def memory_bytes(vectors: int, dimensions: int, most: int) -> int:
    """What the graph of so many vectors takes in memory: beyond that PostgreSQL goes on on disk, many times slower."""
    return max(MEMORY_BYTES_MIN, min(vectors * (dimensions * VECTOR_BYTES + NODE_BYTES), most))


async def _build(database: Database, space: Space, settings: MemorySettings) -> None:
    """With helpers where the server has the shared memory for them, else alone."""
    async with database.connection() as connection:
        (counted,) = await database.long(connection, COUNT, space.id, ALL)
        memory = memory_bytes(counted["vectors"], space.dimensions, settings.index_memory_bytes_max)
        for workers in sorted({settings.index_workers_max, 0}, reverse=True):
            await database.long(connection, statement("drop_space_index", space=space.id))
            try:
                async with _with(connection, memory, workers):
                    await database.long(connection, statement("index_space_meanwhile", space=space.id, dimensions=space.dimensions))
                return
            except asyncpg.UniqueViolationError:  # another process has begun it in this moment
                return
            except (asyncpg.DiskFullError, asyncpg.OutOfMemoryError) as e:
                if not workers:
                    raise
                log.warning("the index of vectors is made by one process, not by several: %s", e)


@asynccontextmanager
async def _with(connection: Connection, memory: int, workers: int) -> AsyncIterator[None]:
    """The connection with so much memory, in bytes, and so many helpers for making an index."""
    await connection.execute(f"SET maintenance_work_mem = '{memory // 1024}kB'; SET max_parallel_maintenance_workers = {workers}")
    try:
        yield
    finally:
        with suppress(*RAISED):  # a connection that was lost has lost them
            await connection.execute("RESET maintenance_work_mem; RESET max_parallel_maintenance_workers")


async def _told(database: Database, say: Say) -> bool:
    """Say how far an index is that is being made; whether there is one."""
    rows = await database.rows(PROGRESS)
    if rows:
        say(f"{rows[0]['phase']}: {rows[0]['percent'] or 0:.0f} %")
    return bool(rows)
