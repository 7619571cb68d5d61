"""Keeping a part running, with a part whose ends are decided here."""

from pathlib import Path

from cerebro.embedded.child import ServerFailed
from cerebro.part import Part
from cerebro.supervision import Policy
from cerebro.supervisor import Supervisor

AT_ONCE = Policy(restarts_max=2, delay_first_s=0)


class Shortlived(Part):
    """Ends as soon as it is waited for. `failures` says of which starts it does not come up, the first being 0."""

    name = "shortlived"

    def __init__(self, failures: frozenset[int] = frozenset()) -> None:
        super().__init__()
        self.starts = 0
        self._failures = failures

    @property
    def pid(self) -> int:
        return self.starts

    async def start(self) -> None:
        self.starts += 1
        if self.starts - 1 in self._failures:
            raise ServerFailed(self.name, "ended with status 1", Path("no.log"))

    async def wait(self) -> int:
        return -9


class TestKeeping:
    async def test_it_is_started_again_as_often_as_allowed_and_then_quarantined(self) -> None:
        part, told = Shortlived(), []
        supervisor = Supervisor(part, AT_ONCE, told.append)
        await supervisor.start()
        await supervisor.keep()
        assert part.starts == 1 + AT_ONCE.restarts_max
        assert supervisor.quarantined
        assert told == [
            "shortlived ended (signal 9) and was restarted: process 2",
            "shortlived ended (signal 9) and was restarted: process 3",
            "shortlived is quarantined: it ended 3 times in 60 s; it stays away until the next start",
        ]

    async def test_a_start_that_fails_counts_as_an_end_and_is_told_with_its_reason(self) -> None:
        told: list[str] = []
        await Supervisor(Shortlived(failures=frozenset({0, 1, 2})), AT_ONCE, told.append).keep()
        assert told[0].startswith("shortlived ended with status 1")

    async def test_whoever_waits_for_the_first_start_is_not_kept_waiting_by_a_quarantine(self) -> None:
        supervisor = Supervisor(Shortlived(failures=frozenset({0, 1, 2, 3})), AT_ONCE, [].append)
        await supervisor.keep()
        assert supervisor.settled.is_set()
