"""The time of day as the server tells it, carried on by a clock that does not jump.

A machine's time of day can be set: by hand, by NTP after a long sleep, by a hypervisor. Whether a lease is over, a member is gone or
a proposal has lapsed must not hang on that. So the server is asked what time it is, now and then, and between two answers the
monotonic clock counts on. All parts then mean the same time as the entries of the log bear, whatever their own machines say.
"""

import time
from collections.abc import Callable


class ServerClock:
    """Called, it gives the time in seconds since 1970. Until the server was `heard` it is what this machine showed at the start."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, here: Callable[[], float] = time.time) -> None:
        self._monotonic = monotonic
        self._ahead_s = here() - monotonic()

    def __call__(self) -> float:
        return self._monotonic() + self._ahead_s

    def heard(self, said: float, asked: float) -> None:
        """The server said that it was `said` (seconds since 1970), some time between `asked` of the monotonic clock and now.

        What is shown is changed by no more than that contradicts it: an answer that was long on its way makes nothing jump.
        """
        self._ahead_s = min(max(self._ahead_s, said - self._monotonic()), said - asked)
