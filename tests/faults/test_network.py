"""Whatever a network does between the parts of a mesh and their servers, nothing acknowledged is lost or doubled, and everything ends."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.behind import Behind
from tests.faults.chances import Chances, number
from tests.faults.invariants import Judge
from tests.faults.load import Load
from tests.faults.network import Network
from tests.faults.report import Report

TROUBLES = number("TROUBLES")
JUDGED_EVERY = 25
"""Troubles between two looks at everything."""
pytestmark = [pytest.mark.faults, pytest.mark.timeout(600 + 60 * TROUBLES)]


@pytest.fixture
def chances() -> Chances:
    return Chances()


@pytest.fixture
def behind(tmp_path: Path, chances: Chances) -> Iterator[Behind]:
    mesh = Behind(tmp_path / "data", chances.random("proxies"))
    try:
        yield mesh.wait_until_ready()
    finally:
        mesh.stop()


async def test_nothing_is_lost_or_doubled_whatever_the_network_does(behind: Behind, chances: Chances) -> None:
    report = Report("network", chances)
    network = Network(behind, chances.random("troubles"), report)
    load = Load(behind, chances.random("load"), name="network")
    judge = Judge(behind, load)
    broken: list[str] = []
    left = TROUBLES
    with report:
        while left and not broken:
            async with load:
                for _ in range(min(left, JUDGED_EVERY)):
                    left -= 1
                    if broken := await network.trouble():
                        break
            verdict = await judge.verdict()
            verdict.broken += broken
            report.verdict(verdict)
            broken = verdict.broken
        if broken:
            report.figure("logs kept in", shutil.copytree(behind.data / "logs", tempfile.mkdtemp(), dirs_exist_ok=True))
    assert broken == []
    assert (report.line.lost, report.line.doubled) == (0, 0)
