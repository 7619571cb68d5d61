"""The persister's three stages over real NATS and PostgreSQL: order, what a kill between them leaves, and how they end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import asyncpg
import msgspec
import pytest

from bus import streams, subjects
from bus.cancelling import end
from bus.connection import Bus, Outgoing
from bus.entries import EVENT_ID
from bus.errors import Unavailable
from bus.log import entries
from memory.arrivals import Arrivals
from memory.batch import Batch
from memory.database import Connection, Database
from memory.episode_row import EpisodeRow
from memory.fold import Fold
from memory.persister import FEW, Persister
from memory.positions import PERSISTER
from memory.settings import MemorySettings
from memory.tally import Tally
from schemas.memory import Action, Await
from tests.integration.test_memory_actor import all_ids, dead_letters, everything, note, settings

__all__ = ["settings"]

PATIENCE_S = 20.0


class Gate:
    """A projection at which commits wait while it is shut. `portions`: the places that each transaction brought."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.portions: list[list[int]] = []

    async def take(self, _: Connection, fresh: Sequence[EpisodeRow]) -> None:
        self.portions.append([row.stream_seq for row in fresh])
        await self.open.wait()


class Slow:
    """A projection that takes its time for each row."""

    async def take(self, connection: Connection, fresh: Sequence[EpisodeRow]) -> None:
        await connection.execute("SELECT pg_sleep($1)", 0.1 * len(fresh))


class Broken:
    async def take(self, _connection: Connection, _fresh: Sequence[EpisodeRow]) -> None:
        raise RuntimeError("a bug")


def _nobody() -> None:
    """Nobody embeds here."""


@asynccontextmanager
async def made(
    bus: Bus, settings: MemorySettings, *projections: Gate | Slow | Broken, announce: Callable[[], None] = _nobody
) -> AsyncIterator[Persister]:
    database = Database(settings)
    await database.open()
    arrivals = Arrivals(database, embeds=False, recheck_s=1)
    yield Persister(bus, database, Fold(database, projections), arrivals, Tally(), settings, announce=announce)
    await database.close()


@asynccontextmanager
async def running(bus: Bus, settings: MemorySettings, *projections: Gate | Slow) -> AsyncIterator[Persister]:
    async with made(bus, settings, *projections) as persister:
        task = asyncio.create_task(persister.run())
        try:
            yield persister
        finally:
            await end(task)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.02)


async def reached(settings: MemorySettings, seq: int) -> None:
    """Return when the place in the log is `seq`."""
    async with asyncio.timeout(PATIENCE_S):
        while await place(settings) != seq:
            await asyncio.sleep(0.02)


async def place(settings: MemorySettings) -> int:
    """Where the persister is."""
    connection = await asyncpg.connect(settings.postgres_dsn)
    try:
        return await connection.fetchval("SELECT stream_seq FROM memory_system.consumer_position WHERE consumer = $1", PERSISTER) or 0
    finally:
        await connection.close()


async def back_to(settings: MemorySettings, seq: int) -> None:
    """Let the persister begin behind `seq`."""
    connection = await asyncpg.connect(settings.postgres_dsn)
    try:
        await connection.execute("UPDATE memory_system.consumer_position SET stream_seq = $2 WHERE consumer = $1", PERSISTER, seq)
    finally:
        await connection.close()


async def persisted(settings: MemorySettings, last: str) -> list[str]:
    """All ids, as soon as `last` is the last."""
    async with asyncio.timeout(PATIENCE_S):
        while (ids := await all_ids(settings.postgres_dsn))[-1:] != [last]:
            await asyncio.sleep(0.02)
    return ids


class TestReadAhead:
    async def test_what_comes_during_a_commit_is_committed_together_in_the_order_of_the_log(
        self, bus: Bus, settings: MemorySettings
    ) -> None:
        gate = Gate()
        gate.open.clear()
        async with running(bus, settings, gate):
            for n in range(40):
                await bus.put(note(n))
            await until(lambda: bool(gate.portions))
            gate.open.set()
            assert await persisted(settings, "note-39") == [f"note-{n}" for n in range(40)]
            assert await place(settings) == 40
        assert [seq for portion in gate.portions for seq in portion] == list(range(1, 41))
        assert len(gate.portions[1]) > 1

    async def test_no_transaction_is_larger_than_its_limit(self, bus: Bus, settings: MemorySettings) -> None:
        gate = Gate()
        async with running(bus, msgspec.structs.replace(settings, batch_len_max=7), gate):
            await bus.publish_batch([note(n) for n in range(100)])
            await persisted(settings, "note-99")
        assert max(len(portion) for portion in gate.portions) <= 7

    async def test_one_that_is_too_slow_for_a_statements_time_is_halved(self, bus: Bus, settings: MemorySettings) -> None:
        await bus.publish_batch([note(n) for n in range(30)])
        async with running(bus, msgspec.structs.replace(settings, statement_timeout_s=1.0), Slow()):
            assert await persisted(settings, "note-29") == [f"note-{n}" for n in range(30)]

    async def test_poison_in_joined_batches_is_buried_alone(self, bus: Bus, settings: MemorySettings) -> None:
        too_long = Outgoing(row=subjects.EPISODE, body=Action(action_type="note"), tokens={"agent": "nexus"}, msg_id="x" * 300)
        gate = Gate()
        gate.open.clear()
        async with running(bus, settings, gate):
            await bus.put(note(0))
            await until(lambda: bool(gate.portions))
            for n in range(1, 10):
                await bus.put(note(n))
                if n == 4:
                    await bus.put(too_long)
                    await bus.js.publish(bus.wire(subjects.EPISODE.subject(agent="nexus")), b'{"action_type": 5}')
            gate.open.set()
            assert await persisted(settings, "note-9") == [f"note-{n}" for n in range(10)]
            letters = await dead_letters(bus, 2)
        assert sorted(letter.stream_seq for letter in letters) == [6, 7]

    async def test_poison_at_the_end_is_passed_over(self, bus: Bus, settings: MemorySettings) -> None:
        await bus.put(note(0))
        await bus.js.publish(bus.wire(subjects.EPISODE.subject(agent="nexus")), b"{")
        async with running(bus, settings):
            await dead_letters(bus, 1)
            await reached(settings, 2)

    async def test_another_log_is_read_from_its_beginning(self, bus: Bus, settings: MemorySettings) -> None:
        await bus.publish_batch([note(n) for n in range(10)])
        async with running(bus, settings):
            await persisted(settings, "note-9")
        await bus.api(f"STREAM.DELETE.{bus.stream(subjects.MESH)}", {})
        await streams.declare(bus.settings)
        again = await Bus.connect(bus.settings, "again")
        try:
            await again.publish_batch([note(n) for n in range(100, 120)])
            async with running(again, settings):
                assert set(await persisted(settings, "note-119")) == {f"note-{n}" for n in [*range(10), *range(100, 120)]}
        finally:
            await again.close()


class TestGathering:
    """With a pause that ends only where somebody waits."""

    @pytest.fixture
    def patient(self, settings: MemorySettings) -> MemorySettings:
        return msgspec.structs.replace(settings, gather_s_max=3_600.0)

    async def test_few_that_came_during_a_commit_wait_for_more_until_somebody_waits_for_one(
        self, bus: Bus, patient: MemorySettings
    ) -> None:
        gate = Gate()
        async with running(bus, patient, gate) as persister:
            await self._during_a_commit(bus, persister, gate, 3)
            await reached(patient, 1)
            await self._read(bus, persister, range(4, 6))
            awaited = await persister._arrivals.wait(Await(id="note-5", timeout_s=PATIENCE_S))
        assert awaited.persisted
        assert gate.portions == [[1], [2, 3, 4, 5, 6]]

    async def test_somebody_who_waits_already_is_not_held_up(self, bus: Bus, patient: MemorySettings) -> None:
        gate = Gate()
        async with running(bus, patient, gate) as persister:
            waiting = asyncio.create_task(persister._arrivals.wait(Await(id="note-3", timeout_s=PATIENCE_S)))
            await self._during_a_commit(bus, persister, gate, 3)
            assert (await waiting).persisted

    async def test_many_are_committed_at_once(self, bus: Bus, patient: MemorySettings) -> None:
        gate = Gate()
        async with running(bus, patient, gate) as persister:
            await self._during_a_commit(bus, persister, gate, FEW)
            await persisted(patient, f"note-{FEW}")

    async def test_few_go_by_themselves_when_the_time_is_over(self, bus: Bus, settings: MemorySettings) -> None:
        gate = Gate()
        async with running(bus, msgspec.structs.replace(settings, gather_s_max=0.2), gate):
            for n in range(3):
                await bus.put(note(n))
                await reached(settings, n + 1)
        assert gate.portions == [[1], [2], [3]]

    async def test_the_first_is_committed_at_once_and_the_next_when_somebody_waits_for_it(self, bus: Bus, patient: MemorySettings) -> None:
        gate = Gate()
        async with running(bus, patient, gate) as persister:
            await bus.put(note(0))
            await reached(patient, 1)
            await self._read(bus, persister, range(1, 2))
            await self._read(bus, persister, range(2, 3))
            awaited = await persister._arrivals.wait(Await(id="note-1", timeout_s=PATIENCE_S))
        assert awaited.persisted
        assert gate.portions == [[1], [2, 3]]

    async def _during_a_commit(self, bus: Bus, persister: Persister, gate: Gate, count: int) -> None:
        """Let so many be read while one is committed."""
        gate.open.clear()
        await self._read(bus, persister, range(1))
        await until(lambda: bool(gate.portions))
        await self._read(bus, persister, range(1, count + 1))
        gate.open.set()

    async def _read(self, bus: Bus, persister: Persister, numbers: range) -> None:
        await bus.publish_batch([note(n) for n in numbers])
        counts = persister._tally.counts
        await until(lambda: counts.get(subjects.EPISODE.name, {}).get("nexus", 0) == numbers[-1] + 1)


class TestOnce:
    async def test_a_log_that_is_worked_off_three_times_changes_no_row(self, bus: Bus, settings: MemorySettings) -> None:
        await bus.publish_batch([note(n) for n in range(50)])
        states = []
        for _ in range(3):
            async with running(bus, settings):
                await persisted(settings, "note-49")
                await reached(settings, 50)
            states.append(await everything(settings.postgres_dsn))
            await back_to(settings, 0)
        assert len(states[0]) == 50
        assert states[0] == states[1] == states[2]

    @pytest.mark.parametrize("commits", [1, 2, 5])
    async def test_one_that_is_killed_behind_a_commit_loses_and_doubles_nothing(
        self, bus: Bus, settings: MemorySettings, commits: int
    ) -> None:
        small = msgspec.structs.replace(settings, batch_len_max=20)
        await bus.publish_batch([note(n) for n in range(200)])
        left = commits

        def kill() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                task.cancel()

        async with made(bus, small, announce=kill) as persister:
            task = asyncio.create_task(persister.run())
            await asyncio.wait({task}, timeout=PATIENCE_S)
            assert task.cancelled()
        assert len(await all_ids(settings.postgres_dsn)) < 200
        await self._goes_on(bus, small)

    @pytest.mark.parametrize("steps", [1, 10, 30, 60, 100, 200, 400])
    async def test_one_that_is_cancelled_in_the_middle_ends_and_loses_and_doubles_nothing(
        self, bus: Bus, settings: MemorySettings, steps: int
    ) -> None:
        small = msgspec.structs.replace(settings, batch_len_max=20)
        await bus.js.publish(bus.wire(subjects.EPISODE.subject(agent="nexus")), b'{"action_type": 5}')
        await bus.publish_batch([note(n) for n in range(200)])
        async with made(bus, small) as persister:
            task = asyncio.create_task(persister.run())
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task}, timeout=PATIENCE_S)
            assert task.cancelled()
        await self._goes_on(bus, small)

    async def _goes_on(self, bus: Bus, settings: MemorySettings) -> None:
        async with running(bus, settings):
            assert await persisted(settings, "note-199") == [f"note-{n}" for n in range(200)]

    async def test_two_at_a_time_double_nothing_and_keep_the_order(self, bus: Bus, settings: MemorySettings) -> None:
        small = msgspec.structs.replace(settings, batch_len_max=20)
        async with running(bus, small), running(bus, small):
            for start in range(0, 200, 50):
                await bus.publish_batch([note(n) for n in range(start, start + 50)])
            assert await persisted(settings, "note-199") == [f"note-{n}" for n in range(200)]

    async def test_what_contradicts_is_buried_before_it_is_passed(self, bus: Bus, settings: MemorySettings) -> None:
        """NATS is away when it is to be buried; whoever dies then finds it again."""
        await bus.publish_batch([note(n) for n in range(5)])
        async with running(bus, settings):
            await persisted(settings, "note-4")
            await reached(settings, 5)
        other = Outgoing(
            row=subjects.EPISODE, body=Action(action_type="other"), tokens={"agent": "nexus"}, msg_id="n", headers={EVENT_ID: "note-3"}
        )
        await bus.put(other)
        await bus.put(note(5))
        async with made(bus, settings) as persister:
            persister._bus = Unburied()  # type: ignore[assignment]
            task = asyncio.create_task(persister._persist(Batch.of([e for e in await entries(bus, [">"]) if e.seq > 5])))
            async with asyncio.timeout(PATIENCE_S):
                while await all_ids(settings.postgres_dsn) != [f"note-{n}" for n in range(6)]:
                    await asyncio.sleep(0.02)
            assert await place(settings) == 5
            await end(task)
        async with running(bus, settings):
            (letter,) = await dead_letters(bus, 1)
            await reached(settings, 7)
        assert letter.stream_seq == 6


class Unburied:
    """A connection by which nothing can be read or written."""

    async def raw_at(self, seq: int) -> None:
        raise Unavailable("NATS is away")


class TestTheEnd:
    async def test_a_bug_in_one_stage_ends_all(self, bus: Bus, settings: MemorySettings) -> None:
        await bus.publish_batch([note(n) for n in range(10)])
        async with made(bus, settings, Broken()) as persister:
            with pytest.raises(ExceptionGroup) as failed:
                await asyncio.wait_for(persister.run(), PATIENCE_S)
        assert failed.group_contains(RuntimeError, match="a bug")
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("persister")]
        assert await all_ids(settings.postgres_dsn) == []
        assert await place(settings) == 0

    async def test_a_closed_connection_ends_all(self, bus: Bus, settings: MemorySettings) -> None:
        own = await Bus.connect(bus.settings, "closed")
        async with made(own, settings) as persister:
            task = asyncio.create_task(persister.run())
            await bus.put(note(0))
            await persisted(settings, "note-0")
            await own.close()
            await asyncio.wait({task}, timeout=PATIENCE_S)
        with pytest.raises(ExceptionGroup) as failed:
            task.result()
        assert failed.group_contains(Unavailable)
