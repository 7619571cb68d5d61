"""A scratch database: new, migrated, empty, on the server of the live one; dropped whatever happens."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import asyncpg
import msgspec

from bus.errors import Unavailable, refusal
from memory import migrations
from memory.database import RAISED, Database, is_away, statement
from memory.settings import MemorySettings

Prepare: TypeAlias = Callable[[str], Awaitable[None]]

PREFIX: Final = "cerebro_scratch_"
LEFT_BEHIND: Final = statement("scratch_databases")
LOCK: Final = 0x43657265_62726F_01
"""Key of the advisory lock that says that a rebuild is under way: every other scratch database
was left behind by one that was killed."""
CONNECT_TIMEOUT_S: Final = 10.0
STATEMENT_TIMEOUT_S: Final = 3_600.0
"""Longest time of one statement of a rebuild: a hash reads a whole table."""


def patient(settings: MemorySettings, dsn: str) -> MemorySettings:
    """The settings of a rebuild: few connections, and time for long statements."""
    return msgspec.structs.replace(settings, postgres_dsn=dsn, pool_size_min=1, pool_size_max=2, statement_timeout_s=STATEMENT_TIMEOUT_S)


@asynccontextmanager
async def opened(settings: MemorySettings) -> AsyncIterator[Database]:
    """An open database for a while. Raises `Unavailable`."""
    database = Database(settings)
    try:
        await database.open()
    except RAISED as e:
        raise _told(e) from e
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def alone(settings: MemorySettings) -> AsyncIterator[asyncpg.Connection]:
    """A connection that holds the right to rebuild. Raises a 409 while another has it, `Unavailable`."""
    try:
        connection = await asyncpg.connect(settings.postgres_dsn, timeout=CONNECT_TIMEOUT_S)
    except RAISED as e:
        raise _told(e) from e
    try:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
            raise refusal(409, "another rebuild is under way on this database")
        yield connection
    finally:
        connection.terminate()


@asynccontextmanager
async def scratch(settings: MemorySettings, prepare: Prepare = migrations.apply) -> AsyncIterator[Database]:
    """The scratch database, with what `prepare` makes in it, given its address: the schema, unless told otherwise.

    Raises a 409 while another rebuild is under way, a 422 where the user may not make databases.
    """
    async with alone(settings) as connection:
        for record in await connection.fetch(LEFT_BEHIND.sql, f"{PREFIX}%"):
            await _drop(connection, record["datname"])
        name = f"{PREFIX}{secrets.token_hex(6)}"
        try:
            await connection.execute(f"CREATE DATABASE {name}")
        except asyncpg.InsufficientPrivilegeError as e:
            raise refusal(422, f"the rebuild needs a database of its own, and this user may not make one: {e}") from e
        try:
            dsn = urlsplit(settings.postgres_dsn)._replace(path=f"/{name}").geturl()
            await prepare(dsn)
            async with opened(patient(settings, dsn)) as database:
                yield database
        finally:
            await asyncio.shield(_drop(connection, name))


async def _drop(connection: asyncpg.Connection, name: str) -> None:
    await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _told(error: BaseException) -> Exception:
    if isinstance(error, Exception) and not is_away(error):
        return error
    return Unavailable(f"PostgreSQL: {str(error) or type(error).__name__}")
