"""What is done to PostgreSQL: its connections taken, its tables, rows and locks held, its statements cancelled, its sessions ended.

Each is held for as long as its context lasts, and is let go of when that ends.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import asyncpg

from memory import reembedding, scratch
from memory.positions import PERSISTER

Connection = asyncpg.Connection
ACTOR: Final = "application_name = 'cerebro-memory'"
AT_ITS_PLACE: Final = f"""
    SELECT pid FROM pg_stat_activity
    WHERE {ACTOR} AND wait_event_type = 'Lock' AND query LIKE '%INTO memory_system.consumer_position%'
"""
"""Sessions that have written a batch and wait to move their place in the log: the middle of a batch."""
PLACE: Final = f"SELECT 1 FROM memory_system.consumer_position WHERE consumer = '{PERSISTER}' FOR UPDATE"
"""Holds the row without which no batch is committed."""
LOOK_S: Final = 0.02
WAIT_S: Final = 20.0


@contextlib.asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(dsn, server_settings={"application_name": "fault"})
    try:
        yield connection
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def within(dsn: str, *statements: str) -> AsyncIterator[Connection]:
    """A transaction that has run these, and then does nothing: idle in transaction. It is undone at the end."""
    async with connected(dsn) as connection:
        transaction = connection.transaction()
        await transaction.start()
        for statement in statements:
            await connection.execute(statement)
        try:
            yield connection
        finally:
            await transaction.rollback()


async def tables(dsn: str) -> list[str]:
    """Every table of memory, by name."""
    async with connected(dsn) as connection:
        found = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'memory_system' ORDER BY tablename")
        return [f'memory_system."{record["tablename"]}"' for record in found]


@contextlib.asynccontextmanager
async def connections_taken(dsn: str) -> AsyncIterator[int]:
    """All connections that the server has, the actor's own included: its sessions are ended, and what it had is taken before it is back.

    Gives how many were taken. One of the actor's that is faster than we are is ended again.
    """
    ending, looking = [await asyncpg.connect(dsn, server_settings={"application_name": "fault"}) for _ in range(2)]
    taken: list[Connection] = [ending, looking]
    holding = True

    async def take() -> None:
        while holding:
            try:
                taken.append(await asyncpg.connect(dsn, server_settings={"application_name": "fault"}))
            except asyncpg.TooManyConnectionsError:
                await ending.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ACTOR}")
                await asyncio.sleep(LOOK_S)

    taking = asyncio.create_task(take(), name="take connections")
    try:
        await _until(looking, f"SELECT count(*) = 0 FROM pg_stat_activity WHERE {ACTOR}")
        yield len(taken)
    finally:
        holding = False
        await asyncio.gather(taking, return_exceptions=False)
        await asyncio.gather(*(connection.close() for connection in taken))


@contextlib.asynccontextmanager
async def advisory_locks(dsn: str) -> AsyncIterator[Connection]:
    """Every advisory lock that the mesh knows: of consolidation, of seals, of reembedding, of a rebuild."""
    keys = [f"hashtext('memory_system.{name}')" for name in ("consolidation", "seals")] + [str(reembedding.LOCK), str(scratch.LOCK)]
    async with connected(dsn) as connection:
        for key in keys:
            await asyncio.wait_for(connection.execute(f"SELECT pg_advisory_lock({key})"), WAIT_S)
        yield connection


async def strike(dsn: str, rng: random.Random, verb: str, seconds: float, pause_s: float = 0.1) -> int:
    """Cancel what sessions of the actor do, or end them (`verb`: cancel, terminate), again and again, whatever they are at; how often."""
    struck, ends = 0, asyncio.get_running_loop().time() + seconds
    async with connected(dsn) as connection:
        while asyncio.get_running_loop().time() < ends:
            found = await connection.fetch(f"SELECT pid FROM pg_stat_activity WHERE {ACTOR} AND state <> 'idle'")
            for record in found:
                struck += bool(await connection.fetchval(f"SELECT pg_{verb}_backend($1)", record["pid"]))
            await asyncio.sleep(rng.uniform(0, pause_s))
    return struck


async def strike_in_mid_batch(dsn: str, verb: str) -> int:
    """Let a batch be written up to its last statement, and cancel or end its session there; how many were struck."""
    async with within(dsn, PLACE), connected(dsn) as looking:
        await _until(looking, f"SELECT count(*) > 0 FROM ({AT_ITS_PLACE}) AS waiting")
        struck: Sequence[Any] = await looking.fetch(f"SELECT pg_{verb}_backend(pid) FROM ({AT_ITS_PLACE}) AS waiting")
        return len(struck)


async def deadlock(dsn: str) -> bool:
    """Lock what a batch needs last, wait until it has what we want next, and want that: whether it was the batch that had to give way."""
    async with (
        within(dsn, "SET LOCAL deadlock_timeout = '60s'", "SET LOCAL lock_timeout = '30s'", PLACE) as holder,
        connected(dsn) as looking,
    ):
        await _until(looking, f"SELECT count(*) > 0 FROM ({AT_ITS_PLACE}) AS waiting")
        try:
            await holder.execute("LOCK TABLE memory_system.episodes IN ACCESS EXCLUSIVE MODE")
        except asyncpg.DeadlockDetectedError:
            return False
        return True


async def deadlocks(dsn: str) -> int:
    """How many the server has found so far, by its own count."""
    async with connected(dsn) as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        return int(await connection.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))


async def _until(connection: Connection, condition: str) -> None:
    """Wait until this gives true. In a transaction of its own each time: within one, who does what is as it was at its first look."""
    async with asyncio.timeout(WAIT_S):
        while not await connection.fetchval(condition):
            await asyncio.sleep(LOOK_S)
