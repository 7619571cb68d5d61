"""Derived memory made again from the log is equal to the first, whatever happens meanwhile; and redelivery changes no row."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from bus import entries, subjects
from bus.connection import Bus
from bus.errors import Refused
from bus.log import bounds
from bus.settings import BusSettings
from bus.streams import declare
from memory.database import Connection
from memory.derived import DERIVED
from memory.episode_row import EpisodeRow
from memory.hashes import State, TableHash
from memory.main import projections
from memory.positions import PERSISTER
from memory.rebuild import Report, rebuild, verify
from memory.scratch import LOCK, PREFIX, opened
from memory.settings import MemorySettings
from schemas.memory import StatsRequest
from tests.history import Said, history
from tests.integration.acting import actor

ROUNDS = 12


@pytest.fixture
def bus_settings(nats_url: str, prefix: str) -> BusSettings:
    return BusSettings(nats_url=nats_url, prefix=prefix, log_bytes_max=64 * 1024**2, duplicate_window_s=0.1)


@pytest.fixture
def settings(new_database: str, redis_url: str) -> MemorySettings:
    return MemorySettings(
        postgres_dsn=new_database,
        redis_url=redis_url,
        embedding="none",
        pool_size_min=1,
        pool_size_max=4,
        reconnect_pause_s=0.1,
        batch_len_max=50,
    )


@pytest_asyncio.fixture
async def bus(bus_settings: BusSettings) -> AsyncIterator[Bus]:
    await declare(bus_settings)
    connected = await Bus.connect(bus_settings, "test")
    yield connected
    await connected.close()


async def publish(bus: Bus, said: Iterator[Said]) -> int:
    """Put all of it on the log, as it is; the place of the last."""
    seq = 0
    for s in said:
        seq = (await bus.js.publish(bus.wire(s.subject), s.data, headers={entries.MSG_ID: s.msg_id})).seq
    return seq


async def persisted_up_to(bus: Bus, seq: int) -> None:
    async with asyncio.timeout(60):
        while (await bus.ask(subjects.MEMORY_STATS, StatsRequest())).persisted_seq < seq:
            await asyncio.sleep(0.05)


async def lived(bus: Bus, settings: MemorySettings, rounds: int = ROUNDS, name: str = "h") -> int:
    """A history through the memory actor; the place of its last entry."""
    async with actor(bus.settings, settings):
        last = await publish(bus, history(random.Random(name), rounds, name))
        await persisted_up_to(bus, last)
    return last


async def hashes(settings: MemorySettings) -> dict[str, TableHash]:
    async with opened(settings) as database, database.connection() as connection:
        return await State(database, connection, 1).hashes()


async def run(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def fetch(dsn: str, sql: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(sql)
    finally:
        await connection.close()


async def scratch_databases(dsn: str) -> list[asyncpg.Record]:
    return await fetch(dsn, f"SELECT datname FROM pg_database WHERE datname LIKE '{PREFIX}%'")


def different(report: Report) -> list[str]:
    return [table.table for table in report.tables if not table.equal]


class TestVerify:
    async def test_a_history_of_every_protocol_is_equal_in_every_table(self, bus: Bus, settings: MemorySettings) -> None:
        last = await lived(bus, settings)
        report = await verify(bus, settings, projections, pause_s=0)
        assert different(report) == []
        assert (report.first_seq, report.end_seq, report.entries, report.whole) == (1, last, last, True)
        assert {table.table for table in report.tables} == {table.name for table in DERIVED}
        copied = {"log_copies"}  # an event stands there twice only if it comes again after the server has forgotten its id
        assert all(t.live.rows > 0 for t in report.tables if t.table not in copied), [(t.table, t.live.rows) for t in report.tables]
        assert report.refused == ROUNDS // 4

    async def test_the_mesh_goes_on_meanwhile(self, bus: Bus, settings: MemorySettings) -> None:
        await lived(bus, settings)
        async with actor(bus.settings, settings):
            speaking = asyncio.create_task(publish(bus, history(random.Random(2), 10, "more")))
            reports = [await verify(bus, settings, projections, pause_s=0) for _ in range(3)]
            await speaking
        assert [different(report) for report in reports] == [[], [], []]

    async def test_it_names_what_differs_and_changes_nothing(self, bus: Bus, settings: MemorySettings) -> None:
        await lived(bus, settings)
        await run(settings.postgres_dsn, "UPDATE memory_system.episodes SET content = 'forged' WHERE episode_id = 'h-episode0-3'")
        await run(settings.postgres_dsn, "DELETE FROM memory_system.episodes WHERE episode_id = 'h-episode0-4'")
        before = await hashes(settings)
        report = await verify(bus, settings, projections, pause_s=0)
        assert "episodes" in different(report)
        found = {d.key: d for d in report.differences if d.table == "episodes"}
        assert found.keys() == {'["h-episode0-3"]', '["h-episode0-4"]'}
        assert (found['["h-episode0-3"]'].column, found['["h-episode0-3"]'].live) == ("content", "forged")
        assert await hashes(settings) == before

    async def test_neither_the_size_of_batches_nor_their_bounds_matter(self, bus: Bus, settings: MemorySettings) -> None:
        await lived(bus, settings)
        for batch_len_max in (1, 7, 500):
            report = await verify(bus, msgspec.structs.replace(settings, batch_len_max=batch_len_max), projections, pause_s=0)
            assert different(report) == []

    async def test_an_event_told_again_under_its_id_is_one_row_in_both(self, bus: Bus, settings: MemorySettings) -> None:
        async with actor(bus.settings, settings):
            first = await publish(bus, history(random.Random(1), 3))
            await asyncio.sleep(0.2)  # past the server's window of duplicates
            last = await publish(bus, history(random.Random(5), 3))  # the same ids, mostly with other content
            await persisted_up_to(bus, last)
        assert last > first + 20
        assert different(await verify(bus, settings, projections, pause_s=0)) == []


class TestRebuild:
    async def test_it_mends_what_was_damaged(self, bus: Bus, settings: MemorySettings) -> None:
        await lived(bus, settings)
        whole = await hashes(settings)
        await run(settings.postgres_dsn, "UPDATE memory_system.episodes SET content = 'forged' WHERE stream_seq % 7 = 0")
        await run(settings.postgres_dsn, "DELETE FROM memory_system.episodes WHERE stream_seq % 11 = 0")
        report = await rebuild(bus, settings, projections)
        assert "episodes" in different(report)
        assert await hashes(settings) == whole
        assert different(await rebuild(bus, settings, projections)) == []

    async def test_the_mesh_goes_on_afterwards_where_it_was(self, bus: Bus, settings: MemorySettings) -> None:
        await lived(bus, settings)
        async with actor(bus.settings, settings):
            speaking = asyncio.create_task(publish(bus, history(random.Random(2), 10, "more")))
            await rebuild(bus, settings, projections)
            await persisted_up_to(bus, await speaking)
        assert different(await verify(bus, settings, projections, pause_s=0)) == []

    async def test_vectors_of_what_says_the_same_again_are_kept_and_the_others_wait_for_the_embedder(
        self, bus: Bus, settings: MemorySettings
    ) -> None:
        await lived(bus, settings)
        await run(settings.postgres_dsn, EMBEDDED)
        vectors = await fetch(settings.postgres_dsn, VECTORS)
        await run(settings.postgres_dsn, "UPDATE memory_system.passages SET content = 'forged' WHERE owner = 'h-episode0-3'")
        await rebuild(bus, settings, projections)
        kept = await fetch(settings.postgres_dsn, VECTORS)
        assert kept == [v for v in vectors if v["owner"] != "h-episode0-3"] != vectors
        waiting = await fetch(settings.postgres_dsn, WAITING)
        assert {r["owner"] for r in waiting} == {"h-episode0-3"}

    async def test_one_that_fails_has_changed_nothing(self, bus: Bus, settings: MemorySettings) -> None:
        await lived(bus, settings)
        await run(settings.postgres_dsn, "UPDATE memory_system.episodes SET content = 'forged' WHERE stream_seq % 7 = 0")
        before = await hashes(settings)
        with pytest.raises(ZeroDivisionError):
            await rebuild(bus, settings, lambda database: [*projections(database), Failing()])
        assert await hashes(settings) == before

    async def test_what_was_a_row_is_not_given_up_because_it_is_refused_now(self, bus: Bus, settings: MemorySettings) -> None:
        await lived(bus, settings, rounds=2)
        before = await hashes(settings)
        with pytest.raises(Refused, match="refuses now what it once took"):
            await rebuild(bus, settings, lambda database: [*projections(database), Refusing()])
        assert await hashes(settings) == before

    async def test_an_empty_log_leaves_everything_alone(self, bus: Bus, settings: MemorySettings) -> None:
        await lived(bus, settings)
        before = await hashes(settings)
        await bus.js.purge_stream(bus.stream(subjects.MESH))
        report = await rebuild(bus, settings, projections)
        assert (report.entries, report.whole, await hashes(settings) == before) == (0, False, True)


EMBEDDED = """
WITH space AS (INSERT INTO memory_system.spaces (model, dimensions) VALUES ('test', 3) RETURNING id),
done AS (DELETE FROM memory_system.unembedded RETURNING passage)
INSERT INTO memory_system.vectors (space, passage, embedding)
SELECT space.id, passage, format('[%s,1,2]', passage)::halfvec FROM space, done
"""
VECTORS = """
SELECT p.owner, p.stream_seq, p.part, v.space, v.embedding::text AS embedding
FROM memory_system.vectors AS v JOIN memory_system.passages AS p ON p.id = v.passage ORDER BY 1, 2, 3
"""
WAITING = "SELECT p.owner FROM memory_system.unembedded AS q JOIN memory_system.passages AS p ON p.id = q.passage"


class Refusing:
    """A projection that has become stricter."""

    async def take(self, connection: Connection, fresh: Sequence[EpisodeRow]) -> None:
        if any(row.episode_id == "h-episode0-1" for row in fresh):
            await connection.execute("SELECT 1 / 0")


class Failing:
    """A projection that breaks in the middle."""

    def __init__(self) -> None:
        self._taken = 0

    async def take(self, connection: Connection, fresh: Sequence[EpisodeRow]) -> None:
        self._taken += len(fresh)
        if self._taken > 100:
            raise ZeroDivisionError


class TestALogThatIsNotWhole:
    async def test_what_it_no_longer_holds_stays_and_the_rest_is_compared(self, bus: Bus, settings: MemorySettings) -> None:
        await lived(bus, settings)
        whole = await hashes(settings)
        await bus.js.purge_stream(bus.stream(subjects.MESH), seq=101)
        report = await verify(bus, settings, projections, pause_s=0)
        assert (report.first_seq, report.whole, different(report)) == (101, False, [])
        await run(settings.postgres_dsn, "DELETE FROM memory_system.episodes WHERE stream_seq = 150")
        report = await rebuild(bus, settings, projections)
        assert (report.refused, await hashes(settings) == whole) == (2, True)

    async def test_another_log_is_refused(self, bus: Bus, settings: MemorySettings) -> None:
        last = await lived(bus, settings, rounds=2)
        await bus.js.delete_stream(bus.stream(subjects.MESH))
        await declare(bus.settings)
        for work in (verify, rebuild):
            with pytest.raises(Refused, match="another log"):
                await work(bus, settings, projections)
        await publish(bus, history(random.Random(9), 10, "other"))
        assert (await bounds(bus))[1] > last
        for work in (verify, rebuild):
            with pytest.raises(Refused, match="another log"):
                await work(bus, settings, projections)


class TestErasure:
    async def test_what_was_erased_from_log_and_tables_is_equal(self, bus: Bus, settings: MemorySettings) -> None:
        await lived(bus, settings)
        episodes = await fetch(
            settings.postgres_dsn, "SELECT stream_seq FROM memory_system.episodes WHERE subject LIKE 'memory.episode.%' ORDER BY 1 LIMIT 3"
        )
        for seq in [record["stream_seq"] for record in episodes]:
            await bus.js.delete_msg(bus.stream(subjects.MESH), seq)
            for table in reversed(DERIVED):
                if table.seq == "t.stream_seq":
                    await run(settings.postgres_dsn, f"DELETE FROM memory_system.{table.name} WHERE stream_seq = {seq}")
        report = await verify(bus, settings, projections, pause_s=0)
        assert different(report) == []

    async def test_what_is_erased_from_the_log_only_is_told(self, bus: Bus, settings: MemorySettings) -> None:
        await lived(bus, settings)
        await bus.js.delete_msg(bus.stream(subjects.MESH), 20)
        report = await verify(bus, settings, projections, pause_s=0)
        assert "episodes" in different(report)


class TestScratch:
    async def test_it_is_dropped_at_the_end_and_after_a_failure(self, bus: Bus, settings: MemorySettings) -> None:
        await lived(bus, settings)
        await verify(bus, settings, projections, pause_s=0)
        with pytest.raises(ZeroDivisionError):
            await verify(bus, settings, lambda database: [*projections(database), Failing()], pause_s=0)
        assert await scratch_databases(settings.postgres_dsn) == []

    async def test_one_that_is_cancelled_drops_it_too(self, bus: Bus, settings: MemorySettings) -> None:
        await lived(bus, settings)
        verifying = asyncio.create_task(verify(bus, settings, projections))
        while not await scratch_databases(settings.postgres_dsn):
            await asyncio.sleep(0.01)
        verifying.cancel()
        await asyncio.gather(verifying, return_exceptions=True)
        assert await scratch_databases(settings.postgres_dsn) == []

    async def test_what_a_killed_one_left_behind_is_dropped_by_the_next(self, bus: Bus, settings: MemorySettings) -> None:
        await lived(bus, settings, rounds=1)
        await run(settings.postgres_dsn, f"CREATE DATABASE {PREFIX}left")
        await verify(bus, settings, projections, pause_s=0)
        assert await scratch_databases(settings.postgres_dsn) == []

    async def test_two_at_once_are_refused(self, bus: Bus, settings: MemorySettings) -> None:
        await lived(bus, settings, rounds=1)
        holder = await asyncpg.connect(settings.postgres_dsn)
        await holder.execute("SELECT pg_advisory_lock($1)", LOCK)
        for work in (verify, rebuild):
            with pytest.raises(Refused, match="another rebuild"):
                await work(bus, settings, projections)
        await holder.close()


class TestRedelivery:
    async def test_the_whole_log_three_times_more_changes_no_row(self, bus: Bus, settings: MemorySettings) -> None:
        last = await lived(bus, settings)
        first = await hashes(settings)
        for _ in range(3):
            await read_anew(settings)
            async with actor(bus.settings, settings):
                await persisted_up_to(bus, last)
            assert await hashes(settings) == first


async def read_anew(settings: MemorySettings) -> None:
    """Let the persister begin before everything."""
    await run(settings.postgres_dsn, f"UPDATE memory_system.consumer_position SET stream_seq = 0 WHERE consumer = '{PERSISTER}'")
