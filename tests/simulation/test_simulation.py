"""A few hundred seeds at each run of the tests; `make simulate` plays as many as wanted, and every planted bug."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.planted import BUGS, SEEDS_MAX, Planted, caught_at
from tests.simulation.scenario import KINDS
from tests.simulation.world import simulate

ROOT = Path(__file__).parents[2]
QUICK = [
    bug
    for bug in BUGS
    if bug.name
    in {
        "responders are counted instead of the electorate",
        "the deadline is taken from the local clock",
        "tasks are written without compare-and-set",
        "after a restart, older lessons are passed over",
        "it is acknowledged before it is on disk",
    }
]


def _printed(code: str, env: dict[str, str]) -> bytes:
    return subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, check=True).stdout


@pytest.mark.parametrize("kind", KINDS)
def test_every_promise_holds_and_everything_ends(kind: str) -> None:
    for seed in range(40):
        outcome = simulate(seed, kind=kind)
        assert not outcome.broken, f"make simulate ARGS='--seed {seed} --kind {kind}': {outcome.broken}"


@pytest.mark.parametrize("bug", QUICK, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug: Planted) -> None:
    seed, _ = caught_at(bug, 60)
    assert seed is not None


def test_a_seed_is_one_history_in_every_process() -> None:
    """Also where sets have another order."""
    code = "from tests.simulation.world import simulate; print([simulate(seed, kind='all').trace for seed in range(6)])"
    first, second = (_printed(code, {"PYTHONHASHSEED": salt, "PYTHONPATH": str(ROOT)}) for salt in ("1", "2"))
    assert first == second
    assert len(first) > 1_000


@pytest.mark.simulation
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_every_planted_bug_is_caught(bug: Planted) -> None:
    seed, _ = caught_at(bug, SEEDS_MAX)
    assert seed is not None


@pytest.mark.simulation
@pytest.mark.parametrize("thousand", range(5))
def test_thousands_of_seeds(thousand: int) -> None:
    broken = {seed: outcome.broken for seed in range(thousand * 1_000, thousand * 1_000 + 1_000) if (outcome := simulate(seed)).broken}
    assert not broken
