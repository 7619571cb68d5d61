"""NATS is away for minutes: nothing is acknowledged, REST says so at once, nobody grows or gives up, and then all goes on."""

from pathlib import Path

import pytest

from tests.faults.away import Away
from tests.faults.behind import Behind
from tests.faults.chances import Chances, number
from tests.faults.invariants import LATE_S, judged
from tests.faults.load import EPISODES, Load
from tests.faults.planted import BUGS
from tests.faults.planting import plant
from tests.faults.report import Report

AWAY_S = number("AWAY_S")
DUPLICATE_WINDOW_S = 120
SHORT_S = 15
"""How long it is away where that something is found is looked at."""
pytestmark = [pytest.mark.faults, pytest.mark.timeout(600 + 2 * AWAY_S)]


async def test_nothing_is_acknowledged_and_afterwards_everything_goes_on(tmp_path: Path) -> None:
    chances = Chances()
    mesh = Behind(tmp_path / "data", chances.random("proxies"))
    try:
        mesh.wait_until_ready()
        with Report("away", chances) as report:
            load = Load(mesh, chances.random("load"), name="away")
            away = Away(mesh, load, report)
            await away.pass_by(AWAY_S)
            verdict = await judged(mesh, load, ids_kept=AWAY_S < DUPLICATE_WINDOW_S, late_s=LATE_S + AWAY_S)
            verdict.broken += away.broken
            report.verdict(verdict)
        assert verdict.broken == []
        assert (verdict.lost, verdict.doubled) == (0, 0)
    finally:
        mesh.stop()


async def test_a_gateway_that_acknowledges_all_the_same_is_found(tmp_path: Path) -> None:
    """The opposite, planted."""
    [bug] = [bug for bug in BUGS if bug.name == "the gateway acknowledges before the log has it"]
    plant(bug.changes, tmp_path / "code")
    chances = Chances()
    mesh = Behind(tmp_path / "data", chances.random("proxies"), code=tmp_path / "code")
    try:
        mesh.wait_until_ready()
        load = Load(mesh, chances.random("load"), name="away", only=(EPISODES,))
        away = Away(mesh, load, Report("away, planted", chances))
        await away.pass_by(SHORT_S)
        verdict = await judged(mesh, load)
        assert any("things were acknowledged meanwhile" in found for found in away.broken), away.broken
        assert verdict.lost > 0
        print(f"found: {away.broken[:3]} {verdict.broken[:2]}")
    finally:
        mesh.stop()
