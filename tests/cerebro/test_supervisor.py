"""Keeping a part running, with a part whose ends are decided here."""

from pathlib import Path

import pytest

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


class Disk:
    """Has room again after so many looks; `looks` counts them."""

    def __init__(self, full_for: int) -> None:
        self.looks = 0
        self._full_for = full_for

    def has_room(self) -> bool:
        self.looks += 1
        return self.looks > self._full_for


class TestAFullDisk:
    async def test_nothing_is_started_on_it_and_what_ended_on_it_is_not_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cerebro.supervisor.ROOM_CHECK_S", 0)
        part, told, disk = Shortlived(), [], Disk(full_for=20)
        supervisor = Supervisor(part, AT_ONCE, told.append, disk.has_room)
        await supervisor.start()
        await supervisor.keep()
        assert told[0] == "shortlived ended, and is started again when the disk has room"
        assert disk.looks == 20 + 1 + AT_ONCE.restarts_max  # it is started once there is room, and then judged as ever
        assert part.starts == 1 + AT_ONCE.restarts_max


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
