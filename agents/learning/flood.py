"""The law of floods: how many lessons of one agent are taken in a minute. Decided from the log's own times, so every replica agrees."""

from collections import deque
from datetime import datetime, timedelta

WINDOW = timedelta(minutes=1)
"""The time over which lessons are counted."""
RATE_LIMITED = "rate_limited"
"""The code of a lesson that is one too many."""
AGENTS_MAX = 1_000
"""Agents whose lessons are counted before those are forgotten that said nothing for a minute."""


class Flood:
    """The lessons that were taken lately, by agent. Fed in the order of the log."""

    def __init__(self, per_minute_max: int) -> None:
        self._per_minute_max = per_minute_max
        self._taken: dict[str, deque[datetime]] = {}

    def takes(self, agent: str, at: datetime) -> bool:
        """Whether a lesson of `agent` that stands in the log since `at` is taken. One that is refused does not count for later ones."""
        taken = self._taken.setdefault(agent, deque())
        while taken and at - taken[0] >= WINDOW:
            taken.popleft()
        if len(taken) >= self._per_minute_max:
            return False
        taken.append(at)
        if len(self._taken) > AGENTS_MAX:
            self._taken = {name: times for name, times in self._taken.items() if times and at - times[-1] < WINDOW}
        return True

    def reason(self, agent: str) -> str:
        """What is said of a lesson that was refused."""
        return f"{RATE_LIMITED}: {agent} has told more than {self._per_minute_max} lessons within a minute"
