"""Databases beside the one that a running mesh has, on the same server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar
from urllib.parse import urlsplit

import asyncpg

from memory import migrations
from memory.database import Database
from memory.settings import MemorySettings

D = TypeVar("D", bound=Database)
STATEMENT_S_MAX = 3_600.0
"""An index over a million vectors takes its time."""


@asynccontextmanager
async def beside(dsn: str, name: str, kind: type[D]) -> AsyncIterator[D]:
    """A new database `name` on the server of `dsn`, migrated and open."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    own = urlsplit(dsn)._replace(path=f"/{name}").geturl()
    await migrations.apply(own)
    async with opened(own, kind) as database:
        yield database


@asynccontextmanager
async def opened(dsn: str, kind: type[D]) -> AsyncIterator[D]:
    """A pool to a database that is migrated already."""
    database = kind(MemorySettings(postgres_dsn=dsn, pool_size_min=1, statement_timeout_s=STATEMENT_S_MAX))
    await database.open()
    try:
        yield database
    finally:
        await database.close()
