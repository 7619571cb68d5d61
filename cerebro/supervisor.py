"""Keeps one process running: starts it again when it ends, until supervision gives it up."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from cerebro.embedded.child import ServerFailed
from cerebro.part import Part
from cerebro.supervision import Ends, Policy, Quarantine, after_end

ROOM_CHECK_S: Final = 1.0


class Supervisor:
    """Of one part. `tell` hears one sentence for people at each change, after the state here has changed.

    `room` says whether the disk has room for something to be started.
    """

    def __init__(self, part: Part, policy: Policy, tell: Callable[[str], None], room: Callable[[], bool] = lambda: True) -> None:
        self.part = part
        self.quarantined = False
        self.settled = asyncio.Event()  # it runs for the first time, or is given up
        self._policy = policy
        self._tell = tell
        self._room = room
        self._ends: Ends = ()

    async def start(self) -> None:
        """Start the part for the first time. Raises ServerFailed; `keep` may be called all the same, and tries again."""
        await self.part.start()
        self.settled.set()

    async def keep(self) -> None:
        """Start it again whenever it ends. Returns when it is given up."""
        while not self.quarantined:
            status = await self.part.wait()
            if not self._room():
                await self._wait_for_room()
            self._ends, verdict = after_end(self._ends, time.monotonic(), self._policy)
            if isinstance(verdict, Quarantine):
                self.quarantined = True
                self.settled.set()
                self._tell(f"{self.part.name} is quarantined: it {verdict.reason}; it stays away until the next start")
            else:
                await asyncio.sleep(verdict.delay_s)
                await self._restart(status)

    async def _wait_for_room(self) -> None:
        """On a full disk it would only end again. How often it ended before there was none says nothing about it."""
        self._tell(f"{self.part.name} ended, and is started again when the disk has room")
        while not self._room():  # noqa: ASYNC110 - a disk does not say when it has room
            await asyncio.sleep(ROOM_CHECK_S)
        self._ends = ()

    async def _restart(self, status: int) -> None:
        try:
            await self.part.start()
        except (ServerFailed, OSError) as failure:
            self._tell(str(failure))
        else:
            self.settled.set()
            self._tell(
                f"{self.part.name} ended ({'signal' if status < 0 else 'status'} {abs(status)}) and was restarted: process {self.part.pid}"
            )
