"""`cerebro memory reembed` as an operator runs it: beside a memory actor that goes on, killed in the middle, and run again."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from bus import subjects
from bus.connection import Bus, Outgoing
from bus.settings import BusSettings
from memory.main import run
from memory.settings import MemorySettings
from memory.spaces import SpaceMismatch
from schemas.memory import Action, Await, SearchRequest, StatsRequest
from tests.memory.endpoint import Server, serving

KEY = "sk-not-to-be-seen-0123456789"


@pytest_asyncio.fixture
async def old() -> AsyncIterator[Server]:
    async with serving(model="old") as started:
        yield started


@pytest_asyncio.fixture
async def new() -> AsyncIterator[Server]:
    async with serving(model="new", dimensions=48) as started:
        yield started


@pytest.fixture
def settings(new_database: str, redis_url: str) -> MemorySettings:
    return MemorySettings(
        postgres_dsn=new_database, redis_url=redis_url, pool_size_min=1, pool_size_max=6, reconnect_pause_s=0.1, embed_every_s=0.2
    )


@asynccontextmanager
async def actor(bus_settings: BusSettings, settings: MemorySettings) -> AsyncIterator[None]:
    ready, stop = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(run(bus_settings, settings, ready.set, stop))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        if running.done():
            running.result()
        yield
    finally:
        stop.set()
        await asyncio.wait({running})


def environment(server: Server, settings: MemorySettings) -> dict[str, str]:
    return {
        **os.environ,
        "CEREBRO_POSTGRES_DSN": settings.postgres_dsn,
        "CEREBRO_REDIS_URL": settings.redis_url,
        "CEREBRO_MEMORY_EMBEDDING": "openai",
        "CEREBRO_MEMORY_EMBEDDING_URL": server.url,
        "CEREBRO_MEMORY_EMBEDDING_MODEL": server.model,
        "CEREBRO_MEMORY_EMBEDDING_DIMENSIONS": str(server.dimensions),
        "CEREBRO_MEMORY_EMBEDDING_API_KEY": KEY,
        "CEREBRO_MEMORY_EMBEDDING_REQUEST_LEN_MAX": "10",
        "CEREBRO_MEMORY_EMBEDDING_REQUESTS_MAX": "2",
    }


async def cerebro(environ: dict[str, str], *words: str) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "cerebro", *words]
    return await asyncio.create_subprocess_exec(*command, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)


async def output(process: asyncio.subprocess.Process) -> str:
    async with asyncio.timeout(60):
        told, _ = await process.communicate()
    return told.decode()


async def killed(process: asyncio.subprocess.Process) -> None:
    process.kill()
    await process.communicate()


async def remembered(bus: Bus, first: int, last: int) -> None:
    """Notes of these numbers, all with a vector when this returns."""
    notes = [
        Outgoing(
            row=subjects.EPISODE,
            body=Action(action_type="note", action_details={"text": f"note{n} about topic{n % 7}"}),
            tokens={"agent": "nexus"},
            msg_id=f"note-{n}",
        )
        for n in range(first, last + 1)
    ]
    await bus.publish_batch(notes)
    for note in notes:
        assert (
            await bus.ask(subjects.MEMORY_AWAIT, Await(id=note.msg_id or "", until="searchable", timeout_s=20), timeout_s=25)
        ).searchable


async def found(bus: Bus, query: str) -> Any:
    results = (await bus.ask(subjects.MEMORY_SEARCH, SearchRequest(query=query, mode="vector", limit=3))).results
    return results[0].id


async def vectors(settings: MemorySettings) -> dict[str, int]:
    connection = await asyncpg.connect(settings.postgres_dsn)
    try:
        rows = await connection.fetch(
            "SELECT model || ' ' || state AS space, count(v) "
            "FROM memory_system.spaces AS s LEFT JOIN memory_system.vectors AS v ON v.space = s.id GROUP BY s.id"
        )
    finally:
        await connection.close()
    return {row["space"]: row["count"] for row in rows}


async def requests(server: Server, count: int) -> None:
    async with asyncio.timeout(30):
        while len(server.requests) < count:
            await asyncio.sleep(0.02)


class TestReembed:
    async def test_killed_in_the_middle_it_goes_on_where_it_was_while_the_actor_serves_and_then_the_new_space_answers(
        self, bus: Bus, bus_settings: BusSettings, settings: MemorySettings, old: Server, new: Server
    ) -> None:
        async with actor(bus_settings, old.settings(settings)):
            await remembered(bus, 1, 60)
            new.faults.extend([None] * 2 + ["slow"] * 10)
            first = await cerebro(environment(new, settings), "memory", "reembed")
            await requests(new, 3)
            await killed(first)
            new.faults.clear()
            assert await vectors(settings) == {"old current": 60, "new filling": 20}
            assert await found(bus, "note33 about topic5") == "note-33"
            with pytest.raises(SpaceMismatch, match="is being filled"):
                async with actor(bus_settings, new.settings(settings)):
                    pass
            await remembered(bus, 61, 65)
            again = await cerebro(environment(new, settings), "memory", "reembed")
            told = await output(again)
            assert again.returncode == 0, told
            assert "filling the space new (48 dimensions)" in told
            assert "       65 / 65 passages" in told
            assert told.splitlines()[-1].startswith("ready: new (48 dimensions)")
            assert KEY not in told
            assert await vectors(settings) == {"old current": 65, "new ready": 65}
            assert len(new.texts) == len(set(new.texts)) + 10, "only what was under way when it was killed is asked for twice"
            await remembered(bus, 66, 66)
            assert await found(bus, "note66 about topic3") == "note-66"
        async with actor(bus_settings, new.settings(settings)):
            await remembered(bus, 67, 67)
            for n in (1, 33, 65, 66, 67):
                assert await found(bus, f"note{n} about topic{n % 7}") == f"note-{n}"
            async with asyncio.timeout(30):
                while await vectors(settings) != {"new current": 67}:
                    await asyncio.sleep(0.05)
            stats = await bus.ask(subjects.MEMORY_STATS, StatsRequest())
            assert (stats.parts["embedding"].status, stats.parts["embedding"].detail) == ("healthy", "new, 48 dimensions")

    async def test_an_index_that_the_server_still_makes_for_a_killed_one_is_waited_for(
        self, bus: Bus, bus_settings: BusSettings, settings: MemorySettings, old: Server, new: Server
    ) -> None:
        async with actor(bus_settings, old.settings(settings)):
            await remembered(bus, 1, 5)
        writer = await asyncpg.connect(settings.postgres_dsn)
        writing = writer.transaction()
        await writing.start()
        await writer.execute("LOCK TABLE memory_system.vectors IN ROW EXCLUSIVE MODE")  # an index waits for who writes
        first = await cerebro(environment(new, settings), "memory", "reembed")
        await line_with(first, "waiting for writers")
        await killed(first)
        again = await cerebro(environment(new, settings), "memory", "reembed")
        await line_with(again, "waiting for writers")
        await writing.rollback()
        await writer.close()
        told = await output(again)
        assert again.returncode == 0, told
        assert await vectors(settings) == {"old current": 5, "new ready": 5}


async def line_with(process: asyncio.subprocess.Process, words: str) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while words not in (line := (await process.stdout.readline()).decode()):
            assert line, "it has ended"


class TestRefusals:
    async def test_an_actor_whose_settings_name_another_space_says_so_in_one_line_and_ends_with_its_own_status(
        self, bus: Bus, bus_settings: BusSettings, settings: MemorySettings, old: Server, new: Server
    ) -> None:
        async with actor(bus_settings, old.settings(settings)):
            await remembered(bus, 1, 1)
        environ = environment(new, settings) | {"CEREBRO_NATS_URL": bus_settings.nats_url, "CEREBRO_BUS_PREFIX": bus_settings.prefix}
        refused = await cerebro(environ, "run", "memory")
        told = await output(refused)
        assert refused.returncode == os.EX_CONFIG
        assert told.splitlines()[-1] == (
            "cerebro: the database holds vectors of old (32 dimensions), the settings name new (48 dimensions), and the two cannot be "
            "compared: go on with the old settings, run `cerebro memory reembed` with the new ones, then start again"
        )
        assert "Traceback" not in told
        assert KEY not in told

    async def test_what_cannot_be_done_is_said_in_one_line(
        self, bus: Bus, bus_settings: BusSettings, settings: MemorySettings, old: Server, tmp_path: Path
    ) -> None:
        async with actor(bus_settings, old.settings(settings)):
            await remembered(bus, 1, 1)
        same = await output(await cerebro(environment(old, settings), "memory", "reembed"))
        assert same == "cerebro: the database's current space is old (32 dimensions) already: there is nothing to change\n"
        none = await output(await cerebro(environment(old, settings) | {"CEREBRO_MEMORY_EMBEDDING": "none"}, "memory", "reembed"))
        assert none == "cerebro: CEREBRO_MEMORY_EMBEDDING=none has no vectors: name the model that is wanted\n"
        nowhere = await output(await cerebro({**os.environ}, "memory", "reembed", "--data", str(tmp_path)))
        assert nowhere.startswith(f"cerebro: no mesh runs on {tmp_path}")
        away = environment(old, settings) | {"CEREBRO_POSTGRES_DSN": "postgresql://127.0.0.1:9/x"}
        assert "Connect call failed" in await output(await cerebro(away, "memory", "reembed"))
