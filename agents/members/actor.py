"""The hands of membership: beats for this instance, hears all others, logs what changed, answers who is there.

What cannot be a member (a profile that is none, a skill with a broken schema, a name that is taken) is refused by a dead letter.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import msgspec

from agents.members import rules
from agents.members.refusals import Refusals
from agents.protocol import Duty, Question
from agents.sound_schema import unsound
from bus import presence, subjects
from bus.connection import Bus, Outgoing
from bus.errors import Unavailable
from bus.log import put_next
from schemas.entry import Entry
from schemas.members import AgentsView, AskAll, MembershipChange, Profile

BEAT_S = 1.0
"""How often this instance says that it lives."""
HEARD_ALL_S = BEAT_S + 0.1
"""Whoever was there before has been heard after so long, also one that joins at the same time as this instance."""
STALL_S = 1.0
"""A gap between two looks longer than this means that this process stood still and heard nobody."""
SETTLED_S_MAX = 5.0
"""Longest wait at the start for a place in the log and for the others' beats; somebody who died unnoticed is known as gone by then."""
TRIANGLE = 3


class Members:
    """What this agent knows of the others, and what they hear of it."""

    def __init__(self, bus: Bus, agent: str, instance: str, builtin: frozenset[str]) -> None:
        self._bus = bus
        self.agent = agent
        self.instance = instance
        self._builtin = builtin | {agent}
        self._sightings: rules.Sightings = {}
        self._listening_since = self._bus.clock()
        self._looked = self._bus.clock()
        self._refusals = Refusals(bus)
        self._settled = asyncio.Event()
        self.roster: rules.Roster = {}

    async def listen(self) -> None:
        """Hear everyone from now on."""
        await presence.listen(self._bus, self._heard, self._unread)
        self._listening_since = self._bus.clock()

    async def _heard(self, agent: str, instance: str, profile: Profile | None) -> None:
        """Count the instance as there, unless it cannot be a member."""
        if profile is not None and (reason := self._why_refused(agent, instance, profile)):
            await self._unread(agent, instance, msgspec.json.encode(profile), reason)
            return
        self._refusals.drop(agent, instance)
        self._sightings[agent, instance] = rules.Sighting(profile, self._bus.clock())

    async def _unread(self, agent: str, instance: str, data: bytes, reason: str) -> None:
        self._sightings.pop((agent, instance), None)
        self._refusals.heard(agent, instance, data, reason)

    def _why_refused(self, agent: str, instance: str, profile: Profile) -> str | None:
        before = self._sightings.get((agent, instance))
        unchanged = before is not None and before.profile is not None and before.profile.skills == profile.skills
        return (None if unchanged else broken_skill(profile)) or rules.taken(self.roster, agent, instance, profile)

    async def beat(self, profile: Profile) -> None:
        """Say that this instance lives, as `profile`; while NATS is away nobody could hear it."""
        try:
            await presence.beat(self._bus, self.agent, self.instance, profile)
        except Unavailable:
            self._listening_since = self._bus.clock()

    async def beat_for_ever(self, profile: Callable[[], Profile]) -> None:
        """Beat once a second; `profile` is asked each time, as its load changes."""
        while True:
            await self.beat(profile())
            await asyncio.sleep(BEAT_S)

    async def settle(self) -> bool:
        """Return when the log says that this instance is there and all of whom it says so were heard; at the latest after
        `SETTLED_S_MAX`: False, as where nothing can be logged.
        """
        try:
            async with asyncio.timeout(SETTLED_S_MAX):
                return await self._settled.wait()
        except TimeoutError:
            return False

    def _joined(self) -> bool:
        return self.agent in self.roster and self.instance in self.roster[self.agent].instances

    # what the other protocols ask of it

    def present(self, takes: str | None = None) -> dict[str, Profile]:
        """The agents that are there now, or those of them that take `takes` (lessons, votes or tasks), each with its profile and its
        instances' mean load.
        """
        living = rules.present(self._sightings, self._bus.clock())
        profiles = {agent: rules.profile_of(sightings) for agent, sightings in living.items()}
        return {agent: profile for agent, profile in profiles.items() if profile and _takes(profile, takes)}

    def announced(self, agent: str) -> Profile | None:
        """What an agent of others last said of itself in the log; None for the built-in ones, which need no checking."""
        known = None if agent in self._builtin else self.roster.get(agent)
        return known.profile if known else None

    def external(self, takes: str) -> list[str]:
        """The agents that are there, take `takes`, and are none of the built-in ones."""
        return [agent for agent in self.present(takes) if agent not in self._builtin]

    def known(self, takes: str) -> dict[str, Profile]:
        """All agents that ever joined and take `takes`, gone ones included."""
        return {agent: k.profile for agent, k in sorted(self.roster.items()) if takes in k.profile.takes}

    def listed(self, takes: str | None = None) -> dict[str, Profile]:
        """The agents that are there, and those gone for less than a minute, or those of them that take `takes`."""
        shown = rules.views(self._sightings, self.roster, self._bus.clock())
        gone = {agent: k.profile for agent, k in self.roster.items() if agent in shown and _takes(k.profile, takes)}
        return gone | self.present(takes)

    def alive(self, agent: str, instance: str) -> bool:
        """Whether this very instance has been heard lately."""
        sighting = self._sightings.get((agent, instance))
        seen = sighting.seen if sighting and sighting.profile else 0.0
        return rules.status(max(seen, self._listening_since), self._bus.clock()) != "gone"

    def listened_long(self) -> bool:
        """Whether we have listened for so long that who was not heard is gone."""
        return rules.status(self._listening_since, self._bus.clock()) == "gone"

    def hears_everyone(self, takes: str | None = None) -> bool:
        """False for a moment after the start, while agents that the log says are there have not been heard yet."""
        there = self.present(takes)
        unheard = [a for a, k in self.roster.items() if k.instances and _takes(k.profile, takes) and a not in there]
        return self.agent in there and (not unheard or self.listened_long())

    def rank(self, lot: int) -> int:
        """This agent's place among the built-in agents that are there, turned by `lot` so that they share the work."""
        there = [a for a in rules.present(self._sightings, self._bus.clock()) if a in self._builtin] or [self.agent]
        if self.agent not in there:
            return len(there)
        return (there.index(self.agent) + lot) % len(there)

    # the protocol's shape

    def apply(self, entry: Entry) -> None:
        if isinstance(entry.body, MembershipChange):
            self.roster[entry.agent] = rules.apply(self.roster.get(entry.agent), entry)

    def duties(self, now: datetime) -> Sequence[Duty]:
        """The changes of membership that are not logged yet; while nobody can be heard, nobody is found silent."""
        moment = now.timestamp()
        if not self._bus.connected or moment - self._looked > STALL_S:
            self._listening_since = moment
        self._looked = moment
        self._forget(moment)
        if self._joined() and moment - self._listening_since > HEARD_ALL_S and self.hears_everyone():
            self._settled.set()
        changes = [
            Duty(f"member {agent} {c.instance} {c.status}", partial(self._log, agent, c, self._seq(agent)), shared=True)
            for agent, c in rules.due(self._sightings, self.roster, moment, self._listening_since)
        ]
        return [*changes, *self._refusals.duties()]

    def _forget(self, now: float) -> None:
        """Drop what was heard of instances that are gone and logged as such, so that the table stays small."""
        gone = [
            (agent, instance)
            for (agent, instance), s in self._sightings.items()
            if rules.status(s.seen, now) == "gone" and (agent not in self.roster or instance not in self.roster[agent].instances)
        ]
        for key in gone:
            del self._sightings[key]

    def _seq(self, agent: str) -> int:
        """The place of the latest entry about that agent, 0 without one."""
        return self.roster[agent].seq if agent in self.roster else 0

    async def _log(self, agent: str, change: MembershipChange, seq: int) -> None:
        """Log what was due when `seq` was the latest about that agent. Raises `Conflict` where another one has logged something since."""
        if change.profile and rules.taken(self.roster, agent, change.instance, change.profile):
            return  # another one has joined under this name since
        await put_next(self._bus, Outgoing(row=subjects.MEMBER, body=change, tokens={"agent": agent}, expect_last_seq=seq))

    def questions(self) -> Sequence[Question]:
        return [(subjects.ASK_AGENTS, self._agents)]

    async def _agents(self, _: AskAll) -> AgentsView:
        shown = rules.views(self._sightings, self.roster, self._bus.clock())
        connected = sum(v.status != "gone" for v in shown.values())
        return AgentsView(
            total_connected=connected,
            mesh_topology="triangular_consensus" if connected == TRIANGLE else "mesh_consensus",
            agents=shown,
        )


def _takes(profile: Profile, takes: str | None) -> bool:
    return takes is None or takes in profile.takes


def broken_skill(profile: Profile) -> str | None:
    """Why one of the skills cannot be announced like this, or None."""
    for skill in profile.skill_list():
        for name, schema in (("input_schema", skill.input_schema), ("output_schema", skill.output_schema)):
            if fault := unsound(schema):
                return f"broken_schema: {name} of {skill.name}: {fault}"
    return None
