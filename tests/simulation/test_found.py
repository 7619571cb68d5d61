"""What the simulation has found stands among the planted bugs, so that it would be found again."""

import pytest

from tests.simulation.planted import BUGS, Planted, caught_at

FOUND = {
    "an early receipt counts for those that read the kept lessons first",
    "an accepted result is dropped when the whole has ended",
    "a task that is being given counts twice",
    "an opening does not look whether another replica has refused the proposal",
}


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in FOUND], ids=lambda bug: bug.name)
def test_it_would_be_found_again(bug: Planted) -> None:
    seed, _ = caught_at(bug, 400)
    assert seed is not None
