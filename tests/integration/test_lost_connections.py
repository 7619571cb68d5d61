"""Connections that the network has forgotten without telling either end, and what was on its way when one was reset."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg

from bus import subjects
from bus.connection import Bus, Outgoing
from bus.errors import TimedOut, Unavailable
from bus.log import follow
from bus.service import Service
from bus.settings import BusSettings
from cerebro.embedded.nats import NatsServer
from cerebro_agent.connection import Connection
from memory.cache import Cache
from memory.database import Database, Statement, end_lost
from memory.settings import MemorySettings
from schemas.entry import Entry
from schemas.learning import Lesson
from schemas.members import AgentsView, AskAll
from tests.faults.proxy import BOTH, Direction, Proxy
from tests.integration.rest import eventually

PING_S = 0.5
ASKED = 20
"""Questions in a row; one of two members of a queue is asked each time, by chance."""
ANSWER_S = 0.5
MIB = b"x" * 1024 * 1024


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy before the server of that address, and the address that leads through it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    address = (parts.hostname, parts.port)
    proxy = Proxy(lambda: address, random.Random(1))
    await proxy.start()
    account = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    try:
        yield proxy, parts._replace(netloc=f"{account}127.0.0.1:{proxy.port}").geturl()
    finally:
        await proxy.stop()


@asynccontextmanager
async def nats_behind(folder: Path, server_ping_s: float) -> AsyncIterator[tuple[Proxy, Bus, Bus]]:
    """A proxy before a server of its own, a connection through it and one beside it."""
    server = NatsServer(folder / "nats", folder / "nats.log", ping_s=server_ping_s)
    await server.start()
    try:
        async with proxied(server.url) as (proxy, url):
            through = await Bus.connect(BusSettings(nats_url=url, ping_s=PING_S), "through")
            beside = await Bus.connect(BusSettings(nats_url=server.url), "beside")
            yield proxy, through, beside
            await proxy.calm()
            await through.close()
            await beside.close()
    finally:
        await server.stop()


async def answering(bus: Bus) -> Service:
    async def answer(_: AskAll) -> AgentsView:
        return AgentsView(total_connected=0, mesh_topology="mesh_consensus", agents={})

    service = Service(bus, "test", "for a test")
    service.answer(subjects.ASK_AGENTS, answer)
    await service.start()
    return service


async def all_answered(bus: Bus) -> bool:
    for _ in range(ASKED):
        await bus.ask(subjects.ASK_AGENTS, AskAll(), timeout_s=ANSWER_S)
    return True


@pytest.mark.parametrize("directions", [("up",), ("down",), BOTH], ids="-".join)
async def test_both_ends_take_it_for_lost(tmp_path: Path, directions: tuple[Direction, ...]) -> None:
    async with nats_behind(tmp_path, PING_S) as (proxy, through, beside):
        service = await answering(through)
        assert proxy.half_open(*directions) == 1

        async def well() -> bool:
            return proxy.accepted == 2 and await all_answered(beside)

        await eventually(well, away=(TimedOut, Unavailable))
        await service.stop()


async def test_a_server_that_does_not_ask_goes_on_asking_who_is_gone(tmp_path: Path) -> None:
    """The opposite: it keeps the lost connection's place in the queue, and every second question is lost with it."""
    async with nats_behind(tmp_path, 120.0) as (proxy, through, beside):
        service = await answering(through)
        proxy.half_open("down")

        async def back() -> bool:
            return proxy.accepted == 2 and through.connected

        await eventually(back)
        with pytest.raises(TimedOut):
            await all_answered(beside)
        await service.stop()


async def dropped(nc: Client, proxy: Proxy) -> None:
    """Fill the connection until nothing more is taken in; return when there is another."""
    proxy.stall()
    for _ in range(64):  # more than the sockets hold
        if nc.is_connected:
            await nc.publish("anything", MIB)
        await asyncio.sleep(0)

    async def back() -> bool:
        return proxy.accepted == 2 and nc.is_connected

    await eventually(back, 60)


async def test_one_that_is_full_is_dropped_after_a_moment(tmp_path: Path) -> None:
    async with nats_behind(tmp_path, PING_S) as (proxy, through, _):
        await dropped(through.nc, proxy)


async def test_the_sdk_drops_one_that_is_full_too(nats_url: str) -> None:
    async with proxied(nats_url) as (proxy, url):
        connection = await Connection.open(url, None, "ops", "_INBOX.ops")
        await dropped(connection.nc, proxy)
        await proxy.calm()
        await connection.nc.close()


async def test_entries_that_were_lost_on_the_way_are_read_again(bus: Bus) -> None:
    """As with a connection that is there again before anybody has missed it."""
    subscribe = bus.nc.subscribe
    lost: list[int] = []

    async def losing(subject: str, cb: Any, **more: Any) -> Any:
        async def hear(msg: Msg) -> None:
            if msg.reply and (seq := msg.metadata.sequence.stream) in {3, 7} and seq not in lost:
                lost.append(seq)
            else:
                await cb(msg)

        return await subscribe(subject, cb=hear, **more)

    bus.nc.subscribe = losing  # type: ignore[method-assign]
    await bus.publish_batch(
        [Outgoing(row=subjects.LESSON, body=Lesson(topic=f"t{i}", content="c"), tokens={"agent": "ops"}) for i in range(9)]
    )
    read: list[str] = []
    async with asyncio.timeout(30):
        async for batch in follow(bus, [subjects.LESSON.wildcard], piece_max=4):
            read += [e.body.topic for e in batch if isinstance(e, Entry)]
            if len(read) >= 9:
                break
    assert (read, lost) == ([f"t{i}" for i in range(9)], [3, 7])


@pytest.mark.parametrize("prepared", [False, True], ids=["between two statements", "within one"])
async def test_what_a_lost_client_held_in_postgresql_is_let_go(new_database: str, *, prepared: bool) -> None:
    async with proxied(new_database) as (proxy, dsn):
        settings = MemorySettings(postgres_dsn=dsn, statement_timeout_s=1.0, pool_size_min=1, pool_size_max=4)
        database = Database(settings)
        await database.open()
        looking = asyncio.create_task(end_lost(database, settings))
        take = Statement("take", "INSERT INTO memory_system.consumer_position (consumer, stream_seq) VALUES ('test', 1)")

        async def lost() -> None:
            async with database.transaction() as connection:
                await database.run(connection, take)
                if prepared:
                    await connection.prepare("SELECT 1")
                assert proxy.half_open() >= 1
                await database.run(connection, take)

        with pytest.raises(Unavailable):
            await lost()

        async def taken() -> bool:
            await database.once(take)
            return True

        await eventually(taken, away=(Unavailable,))
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await proxy.calm()
        await database.close()


def test_redis_whose_connection_was_reset_just_now_is_away(redis_url: str) -> None:
    """On uvloop, on which the actors run: there nothing can be sent any more before anybody is told."""

    async def look() -> bytes | None:
        cache = Cache(redis_url, "test", timeout_s=1, retry_s=60)
        keeping = asyncio.create_task(cache.keep_trying())
        while not cache.trusted:
            await asyncio.sleep(0)
        await cache.put("key", b"value", 60)
        [connection] = cache._redis.connection_pool._available_connections
        connection._writer.transport.abort()
        found = await cache.get("key")
        assert not cache.trusted
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await cache.close()
        return found

    assert uvloop.run(look()) is None
