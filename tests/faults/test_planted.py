"""Each planted bug is caught by kills and stops under load: what the judge says of a sound mesh means something."""

from pathlib import Path

import pytest

from tests.faults.chances import Chances
from tests.faults.injector import Injector
from tests.faults.invariants import Judge
from tests.faults.load import Load
from tests.faults.planted import BUGS, Planted, plant
from tests.faults.report import Report
from tests.integration.launched import Up

INJECTIONS_MAX = 30
"""Each bug must be caught within so many injections."""
JUDGED_EVERY = 5
DRAIN_S = 30.0
PACE_S = 0.02
STOP_S = 60.0
pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_500)]


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
async def test_it_is_caught(bug: Planted, tmp_path: Path) -> None:
    plant(bug, tmp_path / "code")
    up = Up(tmp_path / "data", code=tmp_path / "code")
    chances = Chances()
    report = Report("planted", chances)
    try:
        up.wait_until_ready()
        injector = Injector(up, chances.random("injections"), report, victims=bug.victims, killed_share=bug.killed_share)
        load = Load(up, chances.random("load"), name="planted", only=bug.only, pace_s=PACE_S)
        judge = Judge(up, load)
        broken: list[str] = []
        injections = 0
        while injections < INJECTIONS_MAX and not any(bug.shows in told for told in broken):
            async with load:
                for _ in range(JUDGED_EVERY):
                    injections += 1
                    if await injector.inject(1):  # what is planted keeps it from being well again
                        break
            broken = (await judge.verdict(DRAIN_S)).broken
        caught = [told for told in broken if bug.shows in told]
        assert caught, f"not caught in {injections} injections; {broken}"
        print(f"caught within {injections} injections, seed {chances.seed}: {bug.name}: {caught[0][:200]}")
    finally:
        up.stop(STOP_S)
