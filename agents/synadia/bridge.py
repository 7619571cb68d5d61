"""The bridge in: agents that others host are heard, looked up, and members for as long as they are there.

Every built-in agent listens, so that each knows who is there; the first of them that is there lends its voice and its hands.
"""

import asyncio
import logging
from functools import partial

import msgspec

from agents.members.actor import BEAT_S, Members
from agents.synadia import rules
from agents.synadia.guest import GuestWork
from agents.synadia.rules import Guest
from agents.synadia.settings import BridgeSettings
from agents.tasks.actor import Tasks
from bus import guests, presence, subjects
from bus.cancelling import end
from bus.connection import Bus
from bus.errors import CerebroError
from schemas.synadia import Heartbeat, Registration

log = logging.getLogger("cerebro.agents")

PING_BEATS = 2
"""Every how many of our own beats it is looked whether a guest is still there."""
LOOK_BEATS = 30
"""Every how many of our own beats all are looked for whose sign of life was not heard."""
SILENT_BEATS = 3
"""Signs of life that may be missed before an agent is gone (the protocol's own measure)."""
INTERVAL_S = 30.0
"""How often an agent is taken to beat before it was heard (the protocol's default)."""
UNKNOWN_MAX = 100
"""Most instances heard whose registration was not read yet; further ones wait for their next sign of life."""


class Known(msgspec.Struct):
    """A guest, when it was last heard (loop time), and after which silence it is gone."""

    guest: Guest
    heard: float
    silence_s: float


class Bridge:
    """Brings agents in while `run` runs."""

    def __init__(self, bus: Bus, members: Members, tasks: Tasks, settings: BridgeSettings) -> None:
        self._bus = bus
        self._members = members
        self._tasks = tasks
        self._settings = settings
        self._known: dict[str, Known] = {}
        self._unknown: dict[str, Heartbeat] = {}
        self._refused: set[str] = set()
        self._works: dict[str, tuple[GuestWork, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Bring in whoever is there, until cancelled. What is under way then is taken up by the next built-in agent."""
        await guests.listen(self._bus, self._hear)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._find_for_ever(), name="find guests")
            while True:
                try:
                    await self._lend(group)
                except CerebroError as e:
                    log.info("not every guest was lent a voice: %s", e)
                await asyncio.sleep(BEAT_S)

    def _hear(self, beat: Heartbeat) -> None:
        if known := self._known.get(beat.instance_id):
            known.heard, known.silence_s = _clock(), beat.interval_s * SILENT_BEATS
        elif beat.instance_id not in self._refused and len(self._unknown) < UNKNOWN_MAX:
            self._unknown[beat.instance_id] = beat

    async def _find_for_ever(self) -> None:
        beats = 0
        while True:
            try:
                await self._find(everyone=beats % LOOK_BEATS == 0)
                if beats % PING_BEATS == 0:
                    await self._look_after()
            except CerebroError as e:
                log.info("not every agent could be brought in, or let go: %s", e)
            beats += 1
            await asyncio.sleep(BEAT_S)

    async def _find(self, *, everyone: bool) -> None:
        """Read the registrations of those heard anew, or of all."""
        for found in await guests.look(self._bus) if everyone else ():
            self._meet(found)
        heard, self._unknown = self._unknown, {}
        registered = await asyncio.gather(*(guests.inform(self._bus, instance) for instance in heard))
        for beat, one in zip(heard.values(), registered, strict=True):
            if one is not None:
                self._meet(one, beat.interval_s)

    def _meet(self, found: Registration, interval_s: float = INTERVAL_S) -> None:
        """Take in whoever registered so, if it is an agent that can be, and there is room."""
        if found.id in self._known or found.id in self._refused or len(self._known) >= self._settings.members_max:
            return
        guest, fault = self._judge(found)
        if guest is not None:
            self._known[found.id] = Known(guest, _clock(), interval_s * SILENT_BEATS)
            return
        self._refused = (self._refused if len(self._refused) < UNKNOWN_MAX else set()) | {found.id}
        if fault:
            log.warning("the agent %s is not brought in: %s", found.id, fault)

    def _judge(self, found: Registration) -> tuple[Guest | None, str]:
        """The guest that it is, or why it is none; without a word where it is simply one of ours."""
        subject = rules.prompt_subject(found)
        if subject is None:
            return None, ""
        row = subjects.find(subject)
        if row is None or row[0] is not subjects.AGENT_PROMPT:
            return None, f"it is prompted on {subject}, and we only publish on {subjects.AGENT_PROMPT.pattern}"
        guest = rules.guest(found, row[1])
        if guest is None:
            return None, ""
        other = self._members.roster.get(guest.name)
        if other is not None and other.instances and other.profile.role != rules.ROLE:
            return None, f"another agent is named {guest.name}"
        return guest, ""

    async def _look_after(self) -> None:
        """Let those go that nobody listens for any more, or that were silent for too long."""
        there = await asyncio.gather(*(guests.ping(self._bus, ident) for ident in self._known))
        for (ident, known), answers in list(zip(self._known.items(), there, strict=True)):
            if answers:
                known.heard = max(known.heard, _clock())
            elif answers is False or _clock() - known.heard > known.silence_s:
                del self._known[ident]
                await self._part(known.guest)

    async def _part(self, guest: Guest) -> None:
        """Say goodbye for it; what it was working on goes to others."""
        work = None
        if self._instance(guest.name) is None and guest.name in self._works:
            work, task = self._works.pop(guest.name)
            await end(task)
        await presence.goodbye(self._bus, guest.name, rules.instance_name(guest.ident))
        if work is not None:
            await work.remove()

    async def _lend(self, group: asyncio.TaskGroup) -> None:
        """Beat for each guest and take its work, where that is for this agent to do."""
        if self._members.rank(0) != 0:
            await end(*(task for _, task in self._works.values()))
            self._works.clear()
            return
        for known in list(self._known.values()):
            work = self._work(known.guest.name, group)
            await presence.beat(
                self._bus, known.guest.name, rules.instance_name(known.guest.ident), rules.profile(known.guest, work.load())
            )

    def _work(self, name: str, group: asyncio.TaskGroup) -> GuestWork:
        if name not in self._works:
            work = GuestWork(self._tasks, name, self._settings, partial(self._instance, name))
            self._works[name] = work, group.create_task(work.run(), name=f"work of {name}")
        return self._works[name][0]

    def _instance(self, name: str) -> Guest | None:
        """An instance of that agent, the one that registered last."""
        return next((k.guest for k in reversed(self._known.values()) if k.guest.name == name), None)


def _clock() -> float:
    return asyncio.get_running_loop().time()
