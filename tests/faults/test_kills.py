"""Every process of a mesh is killed and stopped at random points under load: nothing acknowledged is lost or doubled, everything ends."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.chances import Chances, number
from tests.faults.injector import Injector
from tests.faults.invariants import Judge
from tests.faults.load import Load
from tests.faults.report import Report
from tests.integration.launched import Up

KILLS = number("KILLS")
JUDGED_EVERY = 50
"""Kills between two looks at everything, so that what breaks is near its cause."""
IN_MEMORY = Path("/dev/shm")
"""Where the mesh's folder is made if it can be. What a killed process has written stays with the kernel, whatever lies under it; what a
disk keeps when the power goes is tried by the cuts.
"""
STOP_S = 60.0
"""Longest time for a mesh to end here; how soon it does is promised and shown elsewhere."""
pytestmark = [pytest.mark.faults, pytest.mark.timeout(600 + 30 * KILLS)]


@pytest.fixture
def mesh_of_its_own() -> Iterator[Up]:
    folder = Path(tempfile.mkdtemp(prefix="cerebro-faults-", dir=IN_MEMORY if IN_MEMORY.is_dir() else None))
    started = Up(folder / "data")
    try:
        yield started.wait_until_ready()
    finally:
        started.stop(STOP_S)
        shutil.rmtree(folder)


async def test_nothing_is_lost_or_doubled_whatever_is_killed_or_stopped(mesh_of_its_own: Up) -> None:
    chances = Chances()
    report = Report("kills", chances)
    injector = Injector(mesh_of_its_own, chances.random("injections"), report)
    load = Load(mesh_of_its_own, chances.random("load"), name="kills")
    judge = Judge(mesh_of_its_own, load)
    broken: list[str] = []
    with report:
        while injector.kills < KILLS and not broken:
            until = min(KILLS, injector.kills + JUDGED_EVERY)
            async with load:
                while injector.kills < until and not broken:
                    broken = await injector.inject(until - injector.kills)
            verdict = await judge.verdict()
            verdict.broken += broken
            report.verdict(verdict)
            broken = verdict.broken
        report.figure("restarts", injector.restarts())
        if broken:
            report.figure("logs kept in", shutil.copytree(mesh_of_its_own.data / "logs", tempfile.mkdtemp(), dirs_exist_ok=True))
    assert broken == []
    assert (report.line.lost, report.line.doubled) == (0, 0)
