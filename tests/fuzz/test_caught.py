"""What is planted is caught: an answer of 500, a lie, silence, a consumer that stops, a process that ends, a trace in a log."""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bus import subjects
from bus.connection import Bus
from bus.log import Durable
from bus.service import Service
from cerebro import runfile
from cerebro.reach import bus_settings
from schemas.memory import Deleted, EpisodeView
from tests.fuzz import judge, watch
from tests.fuzz.inputs import BusInput, made, to_the_bus
from tests.fuzz.player import Player
from tests.fuzz.wire import Reply, Wire
from tests.integration.launched import Up

SEED = 4711
QUESTIONS = 40


def questions() -> list[BusInput]:
    """Of which some are good and most are not."""
    return [to_the_bus(subjects.MEMORY_GET, SEED, i, Random(i)) for i in range(QUESTIONS)]


@asynccontextmanager
async def answering(bus: Bus, answer: Any) -> AsyncIterator[None]:
    service = Service(bus, "memory", "a stand-in")
    service.answer(subjects.MEMORY_GET, answer)
    await service.start()
    yield
    await service.stop()


async def verdicts(bus: Bus, wait_s: float = 10.0) -> list[judge.Verdict]:
    wire = await Wire.connect(bus.settings)
    found = []
    try:
        for asked in questions():
            try:
                reply: Reply | None = await wire.ask(bus.wire(asked.subject.decode()).encode(), asked.headers, asked.data, wait_s)
            except TimeoutError:
                reply = None
            found.append(judge.of_question(asked.row, reply))
    finally:
        await wire.close()
    return found


class TestAService:
    async def test_that_fails_is_caught(self, bus: Bus) -> None:
        async def fails(_asked: Any) -> EpisodeView:
            raise KeyError("planted")

        async with answering(bus, fails):
            found = await verdicts(bus)
        assert "answered with 500" in next(str(v.fault) for v in found if v.outcome == "500")
        assert all(v.fault is None for v in found if v.outcome == "400")

    async def test_whose_answer_is_not_as_declared_is_caught(self, bus: Bus) -> None:
        async def lies(_asked: Any) -> Deleted:
            return Deleted(deleted=True)

        async with answering(bus, lies):
            found = await verdicts(bus)
        assert any(v.fault and "not as it is declared" in v.fault for v in found)

    async def test_that_is_silent_is_caught(self, bus: Bus) -> None:
        async def says_nothing(_message: object) -> None:
            """As a service does whose task was lost."""

        await bus.nc.subscribe(bus.wire(subjects.MEMORY_GET.subject()), cb=says_nothing)
        await bus.nc.flush()
        wire = await Wire.connect(bus.settings)
        with pytest.raises(TimeoutError):
            await wire.ask(bus.wire(subjects.MEMORY_GET.subject()).encode(), b"", b"{}", 0.2)
        await wire.close()
        assert judge.of_question(subjects.MEMORY_GET.name, None).fault == "nobody answered in time"


class TestTheDoor:
    ROW = "GET /memory/episodic/{episode_id}"

    @pytest.mark.parametrize(
        ("status", "body"), [(500, b"{}"), (503, b"nobody answers"), (504, b"no answer"), (418, b"{}"), (200, b"{}"), (206, b"{}")]
    )
    def test_what_is_no_honest_answer_is_a_fault(self, status: int, body: bytes) -> None:
        assert judge.of_door(self.ROW, status, "application/json", body, "2").fault

    def test_overload_is_counted_apart_where_it_says_when_to_come_again(self) -> None:
        said = b'{"detail": "512 requests are being worked on; no more are taken at once"}'
        assert judge.of_door(self.ROW, 503, "application/problem+json", said, "2") == judge.Verdict("overload")
        assert judge.of_door(self.ROW, 503, "application/problem+json", said, None).fault


class TestAConsumer:
    async def test_that_stops_is_caught(self, bus: Bus) -> None:
        await Durable(bus, name="idle", filters=[subjects.LESSON.wildcard]).declare()
        drain = watch.Drain(patience_s=10)
        await bus.publish(subjects.LESSON, b"{}", agent="ops")
        assert drain.stuck(await watch.consumers(bus, subjects.MESH), now=0.0) == []
        assert drain.stuck(await watch.consumers(bus, subjects.MESH), now=11.0) == ["consumer idle stands still with 1 left"]

    async def test_that_has_nothing_to_do_is_not(self, bus: Bus) -> None:
        await Durable(bus, name="idle", filters=[subjects.LESSON.wildcard]).declare()
        drain = watch.Drain(patience_s=10)
        for now in (0.0, 11.0, 22.0):
            assert drain.stuck(await watch.consumers(bus, subjects.MESH), now) == []


class TestFromOutside:
    def test_a_process_that_ends_is_caught(self, tmp_path: Path) -> None:
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        addresses = {"http": "", "nats": "", "postgres": "", "redis": ""}
        runfile.write(tmp_path, runfile.Run(**addresses, processes={"memory": process.pid}))
        processes = watch.Processes(tmp_path)
        assert processes.faults() == []
        process.communicate(b"\n")
        assert processes.faults() == ["memory ended"]
        runfile.write(tmp_path, runfile.Run(**addresses, processes={"memory": 1}))
        assert processes.faults() == ["memory was started again"]

    def test_a_trace_in_a_log_is_told_once(self, tmp_path: Path) -> None:
        log = tmp_path / "logs" / "aria.log"
        log.parent.mkdir()
        log.write_text("Traceback (most recent call last): before it began\n")
        logs = watch.Logs(tmp_path)
        assert logs.faults() == []
        with log.open("a") as more:
            more.write("ERROR\nTraceback (most recent call last):\n  KeyError: planted\n")
        (found,) = logs.faults()
        assert "KeyError: planted" in found
        assert logs.faults() == []

    async def test_a_malformed_entry_without_a_dead_letter_is_caught(self, bus: Bus) -> None:
        stored = await bus.publish(subjects.LESSON, b"{", agent="ops")
        (told,) = await watch.unburied(bus, {stored.seq})
        assert told.startswith(f"{stored.seq}, mesh.learning.ops, ")


async def test_a_mesh_answers_bad_questions_and_bad_requests(up: Up) -> None:
    """Of what makes nothing: questions, and requests that read. The rest is for `make fuzz`, which has a mesh of its own."""
    run, played = up.run, [i for i in range(4_000) if harmless(i)]
    processes, logs = watch.Processes(up.data), watch.Logs(up.data)
    player = await Player.connect(SEED, bus_settings(up.data), run.http)
    try:
        await player.play(played)
    finally:
        await player.close()
    assert [fault.text for fault in player.tally.faults] == []
    assert player.tally.inputs == len(played) > 1_000
    assert processes.faults() == []
    assert logs.faults() == []


READS = {
    row.name
    for row in subjects.TABLE
    if row.reply is not None
    and row.name.startswith(("ask.", "memory.get", "memory.recent", "memory.search", "memory.graph", "memory.working.list"))
} - {subjects.ASK_STIMULUS.name}


def harmless(index: int) -> bool:
    played = made(SEED, index)
    return played.row in READS if isinstance(played, BusInput) else played.method == "GET"
