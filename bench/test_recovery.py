"""How long a mesh is away when everything is lost, and when only its database is: from `cerebro restore` until it answers, and until
all its indexes are there. Beside that what a backup takes, and how slow searches are while the index of vectors is made.

The million: `CEREBRO_BENCH_SIZES=1000000 make bench ARGS="-k recovery"`.
"""

import asyncio
import shutil
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import asyncpg
import httpx
import msgspec
import pytest

from bench import synthetic
from bench.asked import Asked
from bench.databases import opened
from bench.processor import commands_s, processor_s
from bench.remembered import KNOWN, batches, give_vectors, live, publish
from bench.table import show
from bus.connection import Bus
from cerebro.backup import manifest
from memory.database import Database
from tests.integration.launched import START_S, Up
from tests.integration.rest import client

pytestmark = [pytest.mark.bench, pytest.mark.timeout(14_400)]

TAIL: Final = 1_000
"""Episodes that come after the backup."""
AWAY_S_MAX: Final = 7_200.0
LOOK_EVERY_S: Final = 0.25
STOP_S_MAX: Final = 300.0
WITHOUT_MODEL: Final = {"CEREBRO_MEMORY_EMBEDDING": "none", "CEREBRO_MEMORY_CONSOLIDATE_EVERY_S": "86400"}
INDEXED: Final = """
SELECT bool_and(i.indisvalid) AND count(*) FILTER (WHERE pg_get_indexdef(i.indexrelid) LIKE '%hnsw%') = 1 AS whole
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid WHERE c.relnamespace = 'memory_system'::regnamespace
"""
SAID: Final = "SELECT count(*) FROM memory_system.episodes WHERE stream_seq > $1 AND subject LIKE 'memory.episode.%'"
TAKING: Final = ("episodes", "lived in s", "backup s", "processor s", "size MB", "tables MB", "log MB", "verify s")
RECOVERY: Final = (
    "episodes", "lost", "restored", "found by text", "found by vector", "healthy", "all of the log is memory", "all indexes",
    "searches answered until then: median, longest s", "of 1,001 said after the backup", "processor s: restore + start",
)  # fmt: skip


class Away(msgspec.Struct, kw_only=True):
    """Seconds since the restore began; 0: not seen yet."""

    restored: float = 0.0
    healthy: float = 0.0
    text: float = 0.0
    vector: float = 0.0
    tail: float = 0.0
    indexed: float = 0.0
    meanwhile: list[float] = []
    """How long each search took until all indexes were there."""
    unanswered: int = 0
    """Searches meanwhile that were not answered."""
    restoring_cpu: float = 0.0
    """Processor time of the restore."""
    starting_cpu: float = 0.0
    """Processor time of the mesh until everything was there, with that of the searches asked of it."""
    said: int = 0
    """How much is there of what was said after the backup."""


async def test_recovery(asked: Asked, tmp_path: Path) -> None:
    taking: list[list[str]] = []
    recovery: list[list[str]] = []
    for size in asked.sizes:
        (place := tmp_path / str(size)).mkdir()
        row, folder = await taken(place, size)
        taking.append(row)
        print(row, flush=True)
        for lost, lose, expected in (("everything", everything, 0), ("its database", database, TAIL + 1)):
            away = await recovered(place / "mesh", folder, expected, *lose(place, folder))
            recovery.append([f"{size:,}", lost, *cells(away)])
            print(recovery[-1], flush=True)
        shutil.rmtree(place)
    show("Taking a backup", TAKING, taking)
    show("Recovery: seconds since `cerebro restore` was called", RECOVERY, recovery)


def everything(place: Path, folder: Path) -> tuple[str, ...]:
    """Lose the whole data folder; the arguments that bring it back."""
    shutil.move(place / "mesh", place / "lost")
    return ("restore", str(folder), "--data", str(place / "mesh"))


def database(place: Path, folder: Path) -> tuple[str, ...]:
    """Lose PostgreSQL and Redis of the first mesh, whose log has what was said after the backup."""
    shutil.rmtree(place / "mesh")
    shutil.move(place / "lost", place / "mesh")
    for name in ("postgres", "redis"):
        shutil.rmtree(place / "mesh" / name)
    return ("restore", str(folder), "--keep-log", "--data", str(place / "mesh"))


async def taken(place: Path, size: int) -> tuple[list[str], Path]:
    """A mesh that has lived, backed up, and went on for a while; it is stopped. The cells of the table, and the backup."""
    with started(place / "mesh", **WITHOUT_MODEL) as up:
        up.wait_until_ready()
        bus = await Bus.connect(up.bus_settings(), "bench")
        start = time.perf_counter()
        await live(bus, size)
        async with opened(up.run.postgres, Database) as known:
            await give_vectors(known)
        lived_s = time.perf_counter() - start
        backup = await cerebro("backup", "--data", str(up.data), "--to", str(place / "backups"))
        [folder] = (place / "backups").iterdir()
        verify_s, _ = await cerebro("backup", "verify", str(folder))
        await publish(bus, batches(range(size, size + TAIL), KNOWN[1]))
        await bus.close()
    files = manifest.read(folder).files
    sizes = [sum(file.bytes for name, file in files.items() if name.startswith(of)) / 1e6 for of in ("", "postgres/", "log/")]
    return [f"{size:,}", *(f"{value:.0f}" for value in (lived_s, *backup, *sizes, verify_s))], folder


async def recovered(data: Path, folder: Path, expected: int, *command: str) -> Away:
    """Bring it back, and note when it did what for the first time."""
    away, began = Away(), time.perf_counter()
    _, away.restoring_cpu = await cerebro(*command)
    away.restored = time.perf_counter() - began
    with started(data) as up:
        await ready(up)
        await watch(up, away, began, Tail(manifest.read(folder).position, expected))
        away.starting_cpu = sum(processor_s(up).values())
    return away


class Tail(msgspec.Struct, frozen=True):
    """What was said after this place of the log, and how much of it there should be."""

    position: int
    expected: int


async def watch(up: Up, away: Away, began: float, tail: Tail) -> None:
    """Look again and again, until everything was seen."""
    connection = await asyncpg.connect(up.run.postgres)
    async with client(up.run.http) as http, asyncio.timeout(AWAY_S_MAX):
        looks: dict[str, Callable[[], Awaitable[bool]]] = {
            "healthy": lambda: healthy(http),
            "text": lambda: found(http, "text"),
            "vector": lambda: found(http, "vector"),
            "tail": lambda: come(connection, tail),
            "indexed": lambda: connection.fetchval(INDEXED),
        }
        while waiting := [name for name in looks if not getattr(away, name)]:
            for name in waiting:
                if await looks[name]():
                    setattr(away, name, time.perf_counter() - began)
            if away.text and away.vector and not away.indexed:
                for mode in ("text", "vector"):
                    await search(http, mode, away)
            await asyncio.sleep(LOOK_EVERY_S)
    away.said = await connection.fetchval(SAID, tail.position)
    await connection.close()


async def healthy(http: httpx.AsyncClient) -> bool:
    with suppress(httpx.HTTPError):
        return bool((await http.get("/health")).json()["status"] == "healthy")
    return False


async def found(http: httpx.AsyncClient, mode: str) -> bool:
    """Whether what was known before the backup is the first answer."""
    with suppress(httpx.HTTPError):
        answer = await http.post("/memory/search", json={"query": KNOWN[0], "mode": mode, "limit": 1})
        return answer.status_code == 200 and KNOWN[0] in answer.text
    return False


async def search(http: httpx.AsyncClient, mode: str, away: Away) -> None:
    """A search whose question was not asked before."""
    start = time.perf_counter()
    answer = await http.post("/memory/search", json={"query": synthetic.text(time.time_ns(), 8), "mode": mode})
    if answer.status_code == 200:
        away.meanwhile.append(time.perf_counter() - start)
    else:
        away.unanswered += 1


async def come(connection: asyncpg.Connection, tail: Tail) -> bool:
    return bool(await connection.fetchval(SAID, tail.position) >= tail.expected)


async def cerebro(*arguments: str) -> tuple[float, float]:
    """Seconds that a command takes, which must do what it is told, and its processor time."""
    start, used = time.perf_counter(), commands_s()
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "cerebro", *arguments)
    assert await process.wait() == 0, arguments
    return time.perf_counter() - start, commands_s() - used


@contextmanager
def started(data: Path, **settings: str) -> Iterator[Up]:
    """`cerebro up` with these settings, stopped at the end. It has not answered yet."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        up = Up(data)
    try:
        yield up
    finally:
        up.process.terminate()
        up.process.wait(STOP_S_MAX)


async def ready(up: Up) -> None:
    """Wait until its gateway and its database are there."""
    async with asyncio.timeout(START_S):
        while "gateway " not in up.output.read_text():
            assert up.process.poll() is None, up.output.read_text()
            await asyncio.sleep(LOOK_EVERY_S)


def cells(away: Away) -> list[str]:
    slow = sorted(away.meanwhile)
    searches = f"{len(slow)} of {len(slow) + away.unanswered}" + (f": {statistics.median(slow):.1f}, {slow[-1]:.1f}" if slow else "")
    times = (away.restored, away.text, away.vector, away.healthy, away.tail, away.indexed)
    return [*(f"{value:.1f}" for value in times), searches, f"{away.said:,}", f"{away.restoring_cpu:.0f} + {away.starting_cpu:.0f}"]
