"""Real servers for the tests: one NATS, one PostgreSQL and one Redis for a session, each on a free port.

| fixture          | scope    | what it gives                                                                    |
| ---------------- | -------- | -------------------------------------------------------------------------------- |
| `nats_url`       | session  | `nats://127.0.0.1:PORT`, JetStream, `sync_interval: always`                      |
| `postgres_dsn`   | session  | `postgresql://…/cerebro`, shared: prefer one of the next two                     |
| `redis_url`      | session  | `redis://127.0.0.1:PORT/0`, shared                                               |
| `new_database`   | function | DSN of a new database with our tables and no rows, dropped afterwards            |
| `bare_database`  | function | the same, with nothing in it: for those who make the tables themselves           |
| `up`             | session  | the whole mesh by the real `cerebro up`, on free ports; `up.run` is its run.json now |
| `mesh`           | function | `up.run` as a dict: `mesh["http"]`, `mesh["processes"]["aria"]`, …, and `mesh["credentials"]` |

A mesh by `cerebro up` admits nobody without a key: `nats.connect(**mesh["credentials"])` is its operator, `up.admitted("ops")` another
agent, `up.bus_settings()` what `Bus.connect` takes. The bare server of `nats_url` admits everybody, so that tests share it.

| fixture          | scope    | what it gives                                                                    |
| ---------------- | -------- | -------------------------------------------------------------------------------- |
| `prefix`         | function | random letters for `BusSettings.prefix`, so that tests share one NATS server     |
"""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import msgspec
import nats
import pytest
import pytest_asyncio

from cerebro.embedded.nats import NatsServer
from cerebro.embedded.postgres import PostgresServer
from cerebro.embedded.redis import RedisServer
from cerebro.part import Server
from memory import migrations
from tests.integration.launched import Up


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[Server]:
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture(scope="session")
def servers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("servers")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def nats_url(servers_folder: Path) -> AsyncIterator[str]:
    async with running(NatsServer(servers_folder / "nats", servers_folder / "nats.log")) as server:
        yield server.url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_dsn(servers_folder: Path) -> AsyncIterator[str]:
    async with running(PostgresServer(servers_folder / "postgres", servers_folder / "postgres.log")) as server:
        yield server.url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def redis_url(servers_folder: Path) -> AsyncIterator[str]:
    async with running(RedisServer(servers_folder / "redis", servers_folder / "redis.log")) as server:
        yield server.url


@asynccontextmanager
async def created(postgres_dsn: str, template: str) -> AsyncIterator[str]:
    """The DSN of a new database that is a copy of `template`."""
    name = f"test_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(postgres_dsn)
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield urlsplit(postgres_dsn)._replace(path=f"/{name}").geturl()
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def migrated(postgres_dsn: str) -> AsyncIterator[str]:
    """The name of a database with our tables, to be copied: making them anew for each test takes four times as long."""
    async with created(postgres_dsn, "template1") as dsn:
        await migrations.apply(dsn)
        yield urlsplit(dsn).path.removeprefix("/")


@pytest_asyncio.fixture
async def new_database(postgres_dsn: str, migrated: str) -> AsyncIterator[str]:
    async with created(postgres_dsn, migrated) as dsn:
        yield dsn


@pytest_asyncio.fixture
async def bare_database(postgres_dsn: str) -> AsyncIterator[str]:
    async with created(postgres_dsn, "template1") as dsn:
        yield dsn


@pytest_asyncio.fixture
async def prefix(nats_url: str) -> AsyncIterator[str]:
    """The streams under it are deleted afterwards, because each has its size set aside on the server's disk."""
    letters = f"t{secrets.token_hex(5)}"
    yield letters
    connection = await nats.connect(nats_url)
    manager = connection.jsm()
    for stream in await manager.streams_info():
        name = stream.config.name or ""
        if name.removeprefix("KV_").startswith(letters):
            await manager.delete_stream(name)
    await connection.close()


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    started = Up(tmp_path_factory.mktemp("mesh") / "data")
    try:
        yield started.wait_until_ready()
    finally:
        started.stop()


@pytest.fixture
def mesh(up: Up) -> dict[str, Any]:
    return msgspec.to_builtins(up.run) | {"credentials": up.credentials()}
