"""A disk that is full refuses honestly and loses nothing; when it has room again everything goes on by itself."""

import asyncio
import contextlib
import errno
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg
import nats
import nats.errors
import pytest
from nats.aio.client import Client

from bus import subjects
from bus.connection import Bus
from bus.log import bounds
from cerebro.embedded.nats import NatsServer
from cerebro.keys import OPERATOR
from cerebro.part import Part
from cerebro.supervision import Policy
from cerebro.supervisor import Supervisor
from schemas.memory import Action
from tests.faults import disk
from tests.faults.chances import Chances
from tests.faults.disk import Disk
from tests.faults.invariants import judged
from tests.faults.load import Load
from tests.faults.power import Remains, mesh_on
from tests.faults.report import Report
from tests.integration.launched import Up
from tests.integration.rest import client, eventually, post

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
mounts = pytest.mark.skipif(disk.missing() is not None, reason=disk.missing() or "")
SIZE_BYTES: Final = 512 * 1024 * 1024
LOG_BYTES_MAX: Final = 96 * 1024 * 1024
"""Of the log, so that it fits."""
FULL_S: Final = 15.0
AGAIN_S: Final = 60.0
"""Within this the mesh acknowledges again once there is room: two looks at NATS, and the start of what has ended."""
PIECES: Final = (8 * 1024 * 1024, 256 * 1024, 4 * 1024)
PACE_S: Final = 0.02


class Ballast:
    """Fills the disk at `at`, and keeps it full."""

    def __init__(self, at: Path) -> None:
        self._at = at
        self._files: list[Path] = []

    def fill(self) -> None:
        """Take all the room that there is now."""
        self._files.append(self._at / f"ballast-{len(self._files)}")
        with contextlib.suppress(OSError):  # there is not even room for its name
            descriptor = os.open(self._files[-1], os.O_WRONLY | os.O_CREAT)
            try:
                self._take(descriptor)
            finally:
                os.close(descriptor)

    @staticmethod
    def _take(descriptor: int) -> None:
        end = 0
        for piece in PIECES:
            try:
                while True:
                    os.posix_fallocate(descriptor, end, piece)
                    end += piece
            except OSError as e:
                if e.errno != errno.ENOSPC:
                    raise

    def drop(self) -> None:
        for file in self._files:
            file.unlink(missing_ok=True)


async def more_of_its_log(up: Up) -> None:
    """PostgreSQL needs another file for its log, which ends it where it gets none."""
    with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection = await asyncpg.connect(up.run.postgres, timeout=5)
        try:
            await connection.execute("SELECT pg_switch_wal()")
            await connection.execute("SELECT txid_current()")
            await connection.execute("SELECT pg_switch_wal()")
        finally:
            connection.terminate()


async def acknowledges(up: Up) -> None:
    async with client(up.run.http) as http:
        await eventually(lambda: post(http, "/memory/action", {"action_type": "there is room"}, 202), AGAIN_S)


@mounts
@pytest.mark.parametrize("ends_postgres", [False, True], ids=["disk-full", "disk-full-postgres-ends"])
async def test_a_full_disk_refuses_and_with_room_everything_goes_on(
    ends_postgres: bool, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CEREBRO_BUS_LOG_BYTES_MAX", str(LOG_BYTES_MAX))
    chances = Chances()
    made = Disk(place / "disk").make(SIZE_BYTES)
    with Report("disk-full-postgres-ends" if ends_postgres else "disk-full", chances) as report:
        async with mesh_on(made, place / "at") as up:
            load = Load(up, chances.random("load"), name="full", pace_s=PACE_S)
            ballast = Ballast(place / "at")
            servers = {name: up.run.processes[name] for name in ("nats", "postgres")}
            async with load:
                await asyncio.sleep(chances.random("begin").uniform(1.0, 5.0))
                await full(ballast, up, ends_postgres=ends_postgres)
                report.injected("disk full")
                refused = load.refused.total()
                ballast.drop()
                began = time.monotonic()
                await acknowledges(up)
                report.recovered("disk full", time.monotonic() - began)
                await asyncio.sleep(3.0)
            verdict = await judged(up, load, late_s=600.0)
            report.verdict(verdict)
            assert verdict.broken == []
            assert refused > 0
            assert up.run.quarantined == []
            again = {name for name, pid in servers.items() if up.run.processes[name] != pid}
            assert again == ({"nats", "postgres"} if ends_postgres else {"nats"})


async def full(ballast: Ballast, up: Up, *, ends_postgres: bool) -> None:
    """For a while."""
    ended = time.monotonic() + FULL_S
    while time.monotonic() < ended:
        await asyncio.to_thread(ballast.fill)
        if ends_postgres:
            await more_of_its_log(up)
        await asyncio.sleep(0.5)


class Trusting(NatsServer):
    """One that is waited for as anything else: whether it still writes is not looked at."""

    async def wait(self) -> int:
        return await Part.wait(self)


@asynccontextmanager
async def kept(server: NatsServer) -> AsyncIterator[None]:
    """Started, and supervised as the launcher does."""
    supervisor = Supervisor(server, Policy(), lambda _sentence: None)
    await supervisor.start()
    keeping = asyncio.create_task(supervisor.keep(), name="keep nats")
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})
        await server.stop()


async def takes(connection: Client) -> bool:
    try:
        await connection.jetstream().publish("kept", random.randbytes(4096), timeout=1)
    except (nats.errors.Error, nats.js.errors.Error, TimeoutError):
        return False
    return True


@mounts
@pytest.mark.parametrize("kind", [NatsServer, Trusting])
async def test_a_nats_server_that_refused_once_would_refuse_for_good(kind: type[NatsServer], place: Path) -> None:
    made = Disk(place / "disk").make(SIZE_BYTES // 4)
    with made.mounted(place / "at") as at:
        server = kind(at / "nats", place / "nats.log")
        ballast = Ballast(at)
        async with kept(server):
            connection = await nats.connect(server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.1, allow_reconnect=True)
            await connection.jetstream().add_stream(name="KEPT", subjects=["kept"], max_bytes=LOG_BYTES_MAX // 8)
            assert await takes(connection)
            ballast.fill()
            first = server.pid
            with contextlib.suppress(AssertionError):
                while await takes(connection):
                    ballast.fill()
            await asyncio.sleep(10)
            assert server.pid == first, "it was started again on a full disk"
            ballast.drop()
            if kind is Trusting:
                await asyncio.sleep(20)
                assert not await takes(connection)
            else:
                await eventually(lambda: takes(connection), AGAIN_S)
            await connection.close()


async def test_a_log_that_has_reached_its_limit_drops_the_oldest_and_memory_keeps_them(tmp_path: Path) -> None:
    remains = Remains(tmp_path / "data", log_bytes_max=4 * 1024 * 1024)
    try:
        await remains.start()
        bus = await Bus.connect(remains.bus_settings, OPERATOR, 30.0)
        acknowledged = []
        for _ in range(20):
            body = Action(action_type="note", action_details={"text": "word " * 4_000})
            acknowledged += [(await bus.publish(subjects.EPISODE, body, agent="writer")).event_id for _ in range(20)]
            await remains.caught_up()
        first, last = await bounds(bus)
        await bus.close()
        rows = Counter(row.episode_id for row in await remains.rows())
    finally:
        await remains.off()
    assert first > 1
    assert last >= len(acknowledged)
    assert [ident for ident in acknowledged if rows[ident] != 1] == []
