"""Keeps one process running: starts it again when it ends, until supervision gives it up."""

import asyncio
import time
from collections.abc import Callable

from cerebro.embedded.child import ServerFailed
from cerebro.part import Part
from cerebro.supervision import Ends, Policy, Quarantine, after_end


class Supervisor:
    """Of one part. `tell` hears one sentence for people at each change, after the state here has changed."""

    def __init__(self, part: Part, policy: Policy, tell: Callable[[str], None]) -> None:
        self.part = part
        self.quarantined = False
        self.settled = asyncio.Event()  # it runs for the first time, or is given up
        self._policy = policy
        self._tell = tell
        self._ends: Ends = ()

    async def start(self) -> None:
        """Start the part for the first time. Raises ServerFailed; `keep` may be called all the same, and tries again."""
        await self.part.start()
        self.settled.set()

    async def keep(self) -> None:
        """Start it again whenever it ends. Returns when it is given up."""
        while not self.quarantined:
            status = await self.part.wait()
            self._ends, verdict = after_end(self._ends, time.monotonic(), self._policy)
            if isinstance(verdict, Quarantine):
                self.quarantined = True
                self.settled.set()
                self._tell(f"{self.part.name} is quarantined: it {verdict.reason}; it stays away until the next start")
            else:
                await asyncio.sleep(verdict.delay_s)
                await self._restart(status)

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
