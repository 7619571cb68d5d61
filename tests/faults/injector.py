"""Kills and stops the parts of a mesh at random points, no faster than supervision bears, and waits until they are back."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Sequence
from typing import Final

import httpx
import msgspec
import psutil

from cerebro.supervision import Policy
from tests.faults.report import Report
from tests.faults.well import unwell
from tests.integration.launched import Up, alive

BACKEND: Final = "backend"
"""One of PostgreSQL's processes that serves a client: the postmaster then ends all of them and recovers."""
PARTS: Final = ("nats", "postgres", "redis", "memory", "gateway", "nexus", "aria", "ricardo")
VICTIMS: Final = (*PARTS, BACKEND)
ENDS_MAX: Final = Policy().restarts_max - 2
"""How often a part is killed within the window of supervision. It may end by itself twice more, as where what it needs is away."""
KILLED_SHARE: Final = 0.75
"""Of injections; the others stop a process and let it go on."""
AT_ONCE: Final = (1, 1, 1, 2, 2, 3, 4)
"""How many are hit at a time: one of these."""
STOP_S: Final = (0.2, 12.0)
"""How long a process stands still: shorter and longer than a lease (10 s) and a member's presence (3 s)."""
PAUSE_S_MAX: Final = 0.5
"""Longest pause between what is well again and the next injection."""
APART_S_MAX: Final = 0.4
"""How far those that are hit at a time lie apart, at most."""
BACK_S_MAX: Final = 600.0
"""After this a mesh that is not well again is not expected to be."""
LOOK_S: Final = 0.05


class Hit(msgspec.Struct, frozen=True):
    """One signal: to which victim, and which process that was."""

    victim: str
    pid: int
    stop_s: float | None = None
    """None: it was killed."""

    @property
    def kind(self) -> str:
        return f"{'kill' if self.stop_s is None else 'stop'} {self.victim}"


class Injector:
    """Of one mesh. `kills` counts what was killed so far; each injection is told to `report`."""

    def __init__(
        self, up: Up, rng: random.Random, report: Report, *, victims: Sequence[str] = VICTIMS, killed_share: float = KILLED_SHARE
    ) -> None:
        self.kills = 0
        self.stops = 0
        self._up = up
        self._rng = rng
        self._report = report
        self._victims = victims
        self._killed_share = killed_share
        self._ended: dict[str, list[float]] = {}

    async def inject(self, kills_left: int) -> list[str]:
        """One injection, at most so many kills in it; returns when the mesh is well again, with what is not if it takes too long."""
        rng = self._rng
        await asyncio.sleep(rng.uniform(0, PAUSE_S_MAX))
        number = min(rng.choice(AT_ONCE), kills_left, len(self._victims))
        since: dict[Hit, float] = {}
        for victim in await self._chosen(number):
            stop_s = None if rng.random() < self._killed_share else rng.uniform(*STOP_S)
            if (hit := self._hit(victim, stop_s)) is not None:
                since[hit] = time.monotonic()
            await asyncio.sleep(rng.uniform(0, APART_S_MAX) if number > 1 else 0)
        await self._go_on(since)
        broken = await self._well_again(list(since))
        for hit, moment in since.items():
            self._report.recovered(hit.kind, time.monotonic() - moment)
        return broken

    async def _chosen(self, number: int) -> list[str]:
        """Victims that supervision still bears to lose; waits until there are so many."""
        while True:
            now, window_s = time.monotonic(), Policy().window_s
            ready = [v for v in self._victims if sum(now - end < window_s for end in self._ended.get(v, ())) < ENDS_MAX]
            if len(ready) >= number:
                return self._rng.sample(ready, number)
            await asyncio.sleep(LOOK_S)

    def _hit(self, victim: str, stop_s: float | None) -> Hit | None:
        """Send the signal, if there is such a process now."""
        pid = self._backend() if victim == BACKEND else self._up.run.processes.get(victim)
        if pid is None or not alive(pid):
            return None
        try:
            os.kill(pid, signal.SIGKILL if stop_s is None else signal.SIGSTOP)
        except ProcessLookupError:
            return None
        hit = Hit(victim, pid, stop_s)
        self._report.injected(hit.kind)
        if stop_s is None:
            self.kills += 1
            self._ended.setdefault(victim, []).append(time.monotonic())
        else:
            self.stops += 1
        return hit

    def _backend(self) -> int | None:
        try:
            children = psutil.Process(self._up.run.processes["postgres"]).children()
            serving = [c.pid for c in children if "127.0.0.1(" in " ".join(c.cmdline())]
        except (psutil.NoSuchProcess, KeyError):
            return None
        return self._rng.choice(serving) if serving else None

    async def _go_on(self, since: dict[Hit, float]) -> None:
        """Let those that were stopped go on, each after its time, and note when."""
        for hit in sorted((hit for hit in since if hit.stop_s is not None), key=lambda hit: since[hit] + (hit.stop_s or 0.0)):
            await asyncio.sleep(max(0.0, since[hit] + (hit.stop_s or 0.0) - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):  # whoever watches it has ended it: its loop stood still for too long
                os.kill(hit.pid, signal.SIGCONT)
            since[hit] = time.monotonic()

    def restarts(self) -> dict[str, int]:
        """How often each part was started again, by the launcher's word."""
        said = self._up.output.read_text()
        return {part: said.count(f"{part} ended (") for part in PARTS}

    async def _well_again(self, hits: list[Hit]) -> list[str]:
        """Wait until who was hit is there, a write is acknowledged and the mesh is healthy."""
        last = "nobody looked"
        async with httpx.AsyncClient(timeout=10.0, trust_env=False) as http:
            try:
                async with asyncio.timeout(BACK_S_MAX):
                    while last := await self._missing(hits, http):
                        await asyncio.sleep(LOOK_S)
            except TimeoutError:
                return [f"{BACK_S_MAX:g} s after {', '.join(h.kind for h in hits)}: {last}"]
        return []

    async def _missing(self, hits: list[Hit], http: httpx.AsyncClient) -> str:
        """What is not as it should be yet."""
        run = self._up.run
        for hit in hits:
            now = run.processes.get(hit.victim)  # what is between two lives is not listed
            if hit.victim != BACKEND and (now is None or not alive(now) or (hit.stop_s is None and now == hit.pid)):
                return f"{hit.victim} is not back"
        return await unwell(http, run.http, persisted=False)
