"""The actor: reads the log into its protocols, then does whatever is their duty, for ever.

    log ──▶ apply (fold) ──▶ duties (what should be done, from state alone) ──▶ tasks ──▶ log

Nothing is remembered beside the fold. After a crash the log is read again and the same duties stand there again.
"""

import asyncio
import logging
import zlib
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from agents.protocol import Duty, MeshProtocol
from bus import subjects
from bus.connection import Bus
from bus.errors import CerebroError, Conflict
from bus.log import entries, follow
from bus.service import Service
from schemas.entry import Entry, Malformed

log = logging.getLogger("cerebro.agents")

TICK_S = 0.1
"""How often duties are looked at when nothing happens: the resolution of leases and of presence."""
STAGGER_S = 0.25
"""How long each next in rank waits for the one before it to do a shared duty."""
SETTLE_S = 1.0
"""How long a duty that was done may take to show in the log before it is done again."""
BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between tries of a duty that fails; the last one repeats."""
DUTIES_MAX = 256
"""Most duties under way at a time; the rest wait for the next look."""
FAULT_SAID_EVERY_S = 60.0
"""How often a fault that stays is logged again."""
REPLAY_TIMEOUT_S = 120.0
"""Longest time to read the kept lessons at start."""


class Attempt(msgspec.Struct):
    """What is known of a duty: since when it is due, not before when it is tried again, how often it failed."""

    since: float
    not_before: float = 0.0
    failures: int = 0
    running: bool = False


class Actor:
    """One built-in agent's loop. `rank` gives this agent's place among those that share a duty (0: it is first)."""

    def __init__(self, bus: Bus, rank: Callable[[int], int], protocols: Sequence[MeshProtocol] = ()) -> None:
        self._bus = bus
        self.protocols = protocols
        self._rank = rank
        self._attempts: dict[str, Attempt] = {}
        self._faults: dict[str, float] = {}
        self._changed = asyncio.Event()
        self.caught_up = asyncio.Event()
        self.position = 0

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Start reading and working inside `group`; returns when the log has been read to its end."""
        for entry in await entries(self._bus, [subjects.LESSON.wildcard], stream=subjects.LESSONS, timeout_s=REPLAY_TIMEOUT_S):
            self._apply(entry)
        self.position = 0
        group.create_task(self._read(), name="read the log")
        await self.caught_up.wait()
        group.create_task(self._tick(group), name="duties")

    async def answer(self, service: Service) -> None:
        """Register every protocol's questions."""
        for protocol in self.protocols:
            for row, handler in protocol.questions():
                service.answer(row, handler, concurrency_max=256)

    async def until(self, met: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until the fold makes `met` true; False where it does not within `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                while not met():
                    await self._changed.wait()
        except TimeoutError:
            return met()
        return True

    async def _read(self) -> None:
        follower = follow(self._bus, [subjects.PROTOCOLS, subjects.FORGOTTEN.wildcard])
        async for batch in follower:
            for entry in batch:
                self._apply(entry)
            if follower.pending == 0:
                self.caught_up.set()
            self._changed.set()
            self._changed = asyncio.Event()

    def _apply(self, entry: Entry | Malformed) -> None:
        self.position = entry.seq
        if isinstance(entry, Malformed):
            return
        for protocol in self.protocols:
            try:
                protocol.apply(entry)
            except Exception:
                log.exception("entry %d (%s) is passed over by %s", entry.seq, entry.name, type(protocol).__name__)

    async def _tick(self, group: asyncio.TaskGroup) -> None:
        while True:
            changed = self._changed
            self._look(group)
            try:
                async with asyncio.timeout(TICK_S):
                    await changed.wait()
            except TimeoutError:
                continue

    def _look(self, group: asyncio.TaskGroup) -> None:
        now = self._bus.now()
        clock = asyncio.get_running_loop().time()
        due = {duty.key: duty for protocol in self.protocols for duty in self._due(protocol, now)}
        self._attempts = {key: a for key, a in self._attempts.items() if key in due or a.running}
        for key, duty in due.items():
            attempt = self._attempts.setdefault(key, Attempt(since=clock))
            if self._may_start(duty, attempt, clock):
                attempt.running = True
                group.create_task(self._perform(duty, attempt), name=key)

    def _due(self, protocol: MeshProtocol, now: datetime) -> Sequence[Duty]:
        """The duties of one protocol. A fault of ours in it leaves the others at work; it would be the same after a restart."""
        try:
            return protocol.duties(now)
        except Exception:
            key = f"duties of {type(protocol).__name__}"
            if self._faults.get(key, 0.0) <= (clock := asyncio.get_running_loop().time()):
                self._faults[key] = clock + FAULT_SAID_EVERY_S
                log.exception("the %s cannot be told", key)
            return ()

    def _may_start(self, duty: Duty, attempt: Attempt, clock: float) -> bool:
        if attempt.running or clock < attempt.not_before:
            return False
        if sum(a.running for a in self._attempts.values()) >= DUTIES_MAX:
            return False
        return not duty.shared or clock >= attempt.since + STAGGER_S * self._rank(zlib.crc32(duty.key.encode()))

    async def _perform(self, duty: Duty, attempt: Attempt) -> None:
        """Do it; what fails is tried again later, for as long as it stays a duty."""
        clock = asyncio.get_running_loop().time
        try:
            await duty.run()
        except Conflict:
            attempt.not_before = clock() + SETTLE_S
        except CerebroError as e:
            attempt.not_before = clock() + BACKOFF_S[min(attempt.failures, len(BACKOFF_S) - 1)]
            attempt.failures += 1
            log.info("%s: %s; it is tried again", duty.key, e)
        except Exception:
            attempt.not_before = clock() + BACKOFF_S[-1]
            attempt.failures += 1
            log.exception("%s failed; it is tried again", duty.key)
        else:
            attempt.not_before = clock() + SETTLE_S
        finally:
            attempt.running = False
