"""Presence: an agent is a member as long as it says each second that it is there."""

import asyncio
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
LISTED_LOOKS_S = (1.5, 1.5, 2.5)
"""Pauses between looks at whether the mesh lists this agent as what it says it is; after the last one the name is taken."""


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
        listed: Listed | None = None
        for pause_s in LISTED_LOOKS_S:
            await asyncio.sleep(pause_s)
            try:
                found = await self._connection.ask(self._names.subject("ask.agents"), {}, Agents)
            except AgentError as e:
                log.info("it is not known yet whether %s is listed: %s", self._agent, e)
                return
            listed, mine = found.agents.get(self._agent), self._profile()
            if listed and listed.status != "gone" and listed.role == mine.role and listed.skills == [s.name for s in mine.skills]:
                return
        if listed and listed.status != "gone":
            raise NameTaken(f"another {self._agent} is there, with role {listed.role} and skills {', '.join(listed.skills)}")
        raise NameTaken(f"the mesh does not take {self._agent} for a member; its dead letters say why (cerebro dead list)")
