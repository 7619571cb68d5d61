"""The time of day of everything but NATS is set forward and back while it works: nothing is expired, lost, doubled or dated by it.

By libfaketime (Debian: `faketime`), which stands between a program and its C library. NATS is a Go program and asks the kernel itself, so
its clock is the one that does not jump; that it is the mesh's clock is what is tried.
"""

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from schemas.consensus import Opened
from schemas.entry import Entry
from schemas.members import MembershipChange
from schemas.tasks import Assignment
from tests.faults.chances import Chances
from tests.faults.invariants import DRAIN_S, Judge
from tests.faults.load import AGENTS, Load
from tests.faults.planting import Change, mesh
from tests.faults.report import Report
from tests.faults.verdict import Verdict
from tests.integration.launched import Up

LIBRARY: Final = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(900),
    pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not there (Debian: apt-get install faketime)"),
]

JUMPS: Final = 10
HELD_S: Final = 5.0
"""How long each time of day is left as it was set: longer than it takes to be gone (3 s)."""
SECONDS: Final = (-7_200, -3_600, -60, -7, -2, 2, 7, 60, 3_600, 7_200)
"""How far from the right one the time of day is set."""
KNOWN_AFTER_S: Final = 1
"""After this every process has seen what it is set to."""
OFF_S_MAX: Final = 2.0
"""How far a deadline may be from what was asked for: how long it takes to be opened."""
SHARE_MAX: Final = 0.05
"""Share of the tasks whose lease may be lost: those that a busy machine loses by itself."""


class Clock:
    """The time of day of a mesh that is started in `environment`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)
        self.environment = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": str(KNOWN_AFTER_S),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, seconds: float) -> None:
        """So far ahead of the right one; behind it where it is less than 0."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+.3f}")
        new.replace(self._file)


async def jumps(clock: Clock, rng: random.Random, times: int, report: Report) -> None:
    """Set it again and again, and right in the end."""
    for _ in range(times):
        seconds = rng.choice(SECONDS)
        clock.set(seconds)
        report.injected(f"{'forward' if seconds > 0 else 'back'} by {abs(seconds)} s of the right time")
        await asyncio.sleep(KNOWN_AFTER_S + HELD_S)
    clock.set(0)
    await asyncio.sleep(KNOWN_AFTER_S)


async def through(up: Up, clock: Clock, chances: Chances, times: int, report: Report, drain_s: float = DRAIN_S) -> Verdict:
    """Load while the clock jumps, judged; what was done by a wrong clock is among what is broken."""
    load = Load(up, chances.random("load"), name="clock")
    async with load:
        await asyncio.sleep(2)
        await jumps(clock, chances.random("jumps"), times, report)
    judge = Judge(up, load)
    verdict = await judge.verdict(drain_s)
    entries = judge.ledger.entries
    of_the_start = entries[0].time + timedelta(seconds=2)
    lost = [e for e in entries if isinstance(e.body, MembershipChange) and e.body.status == "lost" and e.agent in AGENTS]
    again = [e.subject for e in entries if isinstance(e.body, Assignment) and e.body.fence > 1 and not e.body.stolen_from]
    report.figure("members lost", len(lost))
    report.figure("leases lost", len(again))
    verdict.find("members were taken for lost", [f"{e.agent} at {e.time}" for e in lost if e.time > of_the_start])
    tasks = len(load.acknowledged.tasks)
    verdict.find(f"leases of {tasks} tasks were lost", again if len(again) > tasks * SHARE_MAX else [])
    verdict.find("deadlines are not of the log's time", wrong_deadlines(entries))
    verdict.find("rows are dated otherwise than the log", await wrongly_dated(up, entries))
    return verdict


def wrong_deadlines(entries: Sequence[Entry]) -> list[str]:
    """Proposals whose deadline is further from their opening than they asked."""
    found = []
    for entry in entries:
        if isinstance(entry.body, Opened):
            given_s = (datetime.fromisoformat(entry.body.deadline) - entry.time).total_seconds()
            if abs(given_s - entry.body.timeout_s) > OFF_S_MAX:
                found.append(f"{entry.subject}: {given_s:.1f} s in place of {entry.body.timeout_s:g}")
    return found


async def wrongly_dated(up: Up, entries: Sequence[Entry]) -> list[int]:
    """Places of the log whose row has another time of record."""
    connection = await asyncpg.connect(up.run.postgres)
    try:
        rows = await connection.fetch("SELECT stream_seq, recorded_at FROM memory_system.episodes")
    finally:
        await connection.close()
    recorded = {row["stream_seq"]: row["recorded_at"] for row in rows}
    return [e.seq for e in entries if e.seq in recorded and abs(recorded[e.seq] - e.time) > timedelta(milliseconds=1)]


async def test_a_time_of_day_that_jumps_changes_nothing(tmp_path: Path) -> None:
    chances, clock = Chances(), Clock(tmp_path / "clock")
    with mesh(clock.environment) as up, Report("clock", chances) as report:
        clock.set(-86_400)
        await asyncio.sleep(KNOWN_AFTER_S + 1)
        assert await hour_of(up) < -80_000, "the processes do not see what they are told"
        clock.set(0)
        verdict = await through(up, clock, chances, JUMPS, report)
        report.verdict(verdict)
        assert verdict.broken == []


async def hour_of(up: Up) -> float:
    """How far PostgreSQL's time of day is from ours, in seconds."""
    connection = await asyncpg.connect(up.run.postgres)
    try:
        shown = await connection.fetchval("SELECT clock_timestamp()")
    finally:
        await connection.close()
    return float((shown - datetime.now(shown.tzinfo)).total_seconds())


OWN_CLOCK: Final = Change("bus/connection.py", "self.clock = clock or self._server_clock", "self.clock = clock or time.time")


async def test_planted(tmp_path: Path) -> None:
    """What this room says of a mesh whose parts believe the clock of their machine."""
    chances, clock = Chances(7), Clock(tmp_path / "clock")
    with mesh(clock.environment, changes=(OWN_CLOCK,)) as up:
        report = Report("planted", chances)
        verdict = await through(up, clock, chances, 4, report, 60)
    assert any("deadlines are not of the log's time" in broken for broken in verdict.broken), verdict.broken
