"""Each planted bug is caught by kills and stops under load: what the judge says of a sound mesh means something."""

from pathlib import Path

import pytest

from tests.faults.chances import Chances
from tests.faults.injector import Injector
from tests.faults.invariants import Judge
from tests.faults.load import Load
from tests.faults.planted import BUGS, Planted
from tests.faults.planting import plant, until_caught
from tests.faults.report import Report
from tests.integration.launched import Up

PACE_S = 0.02
STOP_S = 60.0
pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_500)]


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
async def test_it_is_caught(bug: Planted, tmp_path: Path) -> None:
    plant(bug.changes, tmp_path / "code")
    up = Up(tmp_path / "data", code=tmp_path / "code")
    chances = Chances()
    try:
        up.wait_until_ready()
        report = Report("planted", chances)
        injector = Injector(up, chances.random("injections"), report, victims=bug.victims, killed_share=bug.killed_share)
        load = Load(up, chances.random("load"), name="planted", only=bug.only, pace_s=PACE_S)
        print(f"seed {chances.seed}: {bug.name}:", await until_caught(bug.shows, load, Judge(up, load), lambda: injector.inject(1)))
    finally:
        up.stop(STOP_S)
