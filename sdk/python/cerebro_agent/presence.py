"""Presence: an agent is a member as long as it says each second that it is there."""

import asyncio
import itertools
import logging
from collections.abc import Callable

import msgspec

from cerebro_agent.connection import Connection
from cerebro_agent.errors import AgentError, NameTaken
from cerebro_agent.messages import Profile
from cerebro_agent.names import Names

log = logging.getLogger("cerebro_agent")

BEAT_S = 1.0
"""How often an agent says that it is there."""
LISTED_LOOK_S = 1.5
"""Pause between looks at whether the mesh lists this agent as what it says it is."""
LOOKS_MAX = 4
"""Looks after which a name counts as taken: longer than one that was killed, and had other skills, takes to be lost."""


class Listed(msgspec.Struct, frozen=True):
    """An agent as the mesh lists it."""

    role: str
    skills: list[str]
    status: str


class Agents(msgspec.Struct, frozen=True):
    agents: dict[str, Listed]


class Presence:
    """`profile` is asked before each beat, as its load changes."""

    def __init__(self, connection: Connection, names: Names, agent: str, profile: Callable[[], Profile]) -> None:
        self._connection = connection
        self._names = names
        self._agent = agent
        self._profile = profile

    async def run(self) -> None:
        """Beat for ever."""
        while True:
            await self._connection.say(self._names.presence, msgspec.json.encode(self._profile()))
            await asyncio.sleep(BEAT_S)

    async def goodbye(self) -> None:
        """Leave at once, instead of by silence."""
        await self._connection.say(self._names.presence, b"", {"KV-Operation": "DEL"})

    async def watch_name(self) -> None:
        """Returns once the mesh lists this agent as what it is. Raises `NameTaken` where it goes on listing something else."""
        for look in itertools.count(1):
            await asyncio.sleep(LISTED_LOOK_S)
            try:
                found = await self._connection.ask(self._names.subject("ask.agents"), {}, Agents)
            except AgentError as e:
                log.info("it is not known yet whether %s is listed: %s", self._agent, e)
                continue
            listed, mine = found.agents.get(self._agent), self._profile()
            if listed is None or listed.status == "gone":
                if look % LOOKS_MAX == 0:
                    log.error("the mesh does not take %s for a member; its dead letters say why (cerebro dead list)", self._agent)
            elif (listed.role, listed.skills) == (mine.role, [s.name for s in mine.skills]):
                return
            elif look >= LOOKS_MAX:
                raise NameTaken(f"another {self._agent} is there, with role {listed.role} and skills {', '.join(listed.skills)}")
