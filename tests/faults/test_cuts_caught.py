"""What keeps acknowledged events over a power cut is broken on purpose, one thing at a time, and then a cut loses something."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from bus import subjects
from bus.connection import Bus
from bus.errors import CerebroError
from bus.log import entries
from cerebro.embedded.nats import NatsServer
from cerebro.keys import OPERATOR
from memory.episode_row import EpisodeRow
from memory.persister import Persister
from schemas.memory import Action
from tests.faults import disk
from tests.faults.disk import Disk
from tests.faults.power import HEARD_S, SIZE_BYTES, Remains, remains_on

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(600),
    pytest.mark.skipif(disk.missing() is not None, reason=disk.missing() or ""),
]
WRITERS: Final = 8
WRITTEN_S: Final = 2.0
READ_S: Final = 60.0


class Unsynced(NatsServer):
    """A NATS server that syncs as it does if nobody tells it to: every two minutes."""

    def __init__(self, *at: Any, **more: Any) -> None:
        super().__init__(*at, **more, sync="2m")


@asynccontextmanager
async def written(remains: Remains) -> AsyncIterator[list[str]]:
    """Ids of episodes that the log acknowledges, more and more of them."""
    acknowledged: list[str] = []
    bus = await Bus.connect(remains.bus_settings, OPERATOR, 30.0)

    async def write() -> None:
        while True:
            try:
                stored = await bus.publish(subjects.EPISODE, Action(action_type="note"), agent="writer")
            except CerebroError:
                return
            acknowledged.append(stored.event_id)

    writers = [asyncio.create_task(write(), name=f"writer {n}") for n in range(WRITERS)]
    try:
        yield acknowledged
    finally:
        for writer in writers:
            writer.cancel()
        await asyncio.gather(*writers, return_exceptions=True)
        await bus.close()


async def after_a_cut(made: Disk, place: Path, remains: Remains, acknowledged: list[str]) -> tuple[Disk, list[str]]:
    """What the disk holds if the power is cut now, and what had been acknowledged."""
    stopped = remains.stopped()
    try:
        left = made.copied(place / "left")
        await asyncio.sleep(HEARD_S)
        return left, list(acknowledged)
    finally:
        stopped.kill()


async def in_the_log(remains: Remains) -> Counter[str]:
    bus = await Bus.connect(remains.bus_settings, OPERATOR, 30.0)
    try:
        return Counter(entry.event_id for entry in await entries(bus, (), timeout_s=READ_S))
    finally:
        await bus.close()


@pytest.mark.parametrize("server", [NatsServer, Unsynced])
async def test_a_log_that_is_not_synced_loses_what_it_acknowledged(server: type[NatsServer], place: Path) -> None:
    made = Disk(place / "disk").make(SIZE_BYTES)
    async with remains_on(made, place / "at", nats=server) as remains:
        await remains.start_servers()
        async with written(remains) as acknowledged:
            await asyncio.sleep(WRITTEN_S)
            left, told = await after_a_cut(made, place, remains, acknowledged)
    async with remains_on(left, place / "at") as remains:
        await remains.start_servers()
        found = await in_the_log(remains)
    lost = [ident for ident in told if ident not in found]
    print(f"{server.__name__}: {len(lost)} of {len(told)} acknowledged events lost")
    assert told
    assert bool(lost) is (server is Unsynced)


async def test_rows_that_postgresql_loses_come_again_from_the_log(place: Path) -> None:
    made = Disk(place / "disk").make(SIZE_BYTES)
    async with remains_on(made, place / "at") as remains:
        await remains.start()
        connection = await asyncpg.connect(remains.dsn)
        for setting in ("synchronous_commit = off", "wal_writer_delay = '10s'"):
            await connection.execute(f"ALTER SYSTEM SET {setting}")
        await connection.execute("SELECT pg_reload_conf()")
        async with written(remains) as acknowledged:
            await asyncio.sleep(WRITTEN_S)
            before = await connection.fetchval("SELECT count(*) FROM memory_system.episodes")
            left, told = await after_a_cut(made, place, remains, acknowledged)
        connection.terminate()
    async with remains_on(left, place / "at") as remains:
        await remains.start_servers()
        after = len(await remains.rows())
        remains.start_memory()
        await remains.caught_up()
        rows = Counter(row.episode_id for row in await remains.rows())
    print(
        f"PostgreSQL lost {before - after} of {before} rows; of {len(told)} acknowledged events {sum(i not in rows for i in told)} are lost"
    )
    assert after < before
    assert told
    assert [ident for ident in told if rows[ident] != 1] == []


async def test_a_place_that_is_kept_before_the_rows_are_in_loses_rows(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Disk(place / "disk").make(SIZE_BYTES)
    sound = Persister._transacted

    async def place_first(self: Persister, rows: Sequence[EpisodeRow]) -> object:
        await self._pass_over(rows[-1].stream_seq)
        await asyncio.sleep(0.3)  # a busy database, so that the cut comes in between
        return await sound(self, rows)

    with monkeypatch.context() as planted:
        planted.setattr(Persister, "_transacted", place_first)
        async with remains_on(made, place / "at") as remains:
            await remains.start()
            async with written(remains) as acknowledged:
                await asyncio.sleep(WRITTEN_S)
                left, told = await after_a_cut(made, place, remains, acknowledged)
    async with remains_on(left, place / "at") as remains:
        await remains.start()
        await remains.caught_up()
        rows = Counter(row.episode_id for row in await remains.rows())
        stands = await in_the_log(remains)
    lost = [ident for ident in told if ident not in rows]
    print(f"a place apart from its rows: {len(lost)} of {len(told)} acknowledged events have no row")
    assert [ident for ident in told if ident not in stands] == []
    assert lost
