"""One agent, put together: the only place where its parts meet."""

import asyncio
import logging
from collections.abc import Callable

from agents.actor import Actor
from agents.consensus.actor import Consensus
from agents.consensus.case import CaseBuilder
from agents.emotion.actor import Emotion
from agents.learning.actor import Learning
from agents.members.actor import Members
from agents.profiles import AgentProfile, ProfileError, load
from agents.recall import Recall
from agents.settings import AgentSettings
from agents.synadia.bridge import Bridge
from agents.synadia.door import Door
from agents.synadia.settings import BridgeSettings
from agents.tasks.actor import Tasks
from agents.tasks.worker import Worker
from bus import presence
from bus.connection import Bus
from bus.errors import Unavailable
from bus.ids import uuid7
from bus.service import Service
from bus.settings import BusSettings
from schemas.members import Profile

log = logging.getLogger("cerebro.agents")


class Agent:
    """A built-in agent: four protocols over one fold, a worker for its tasks, the service `mesh`, and the door to other agents."""

    def __init__(self, bus: Bus, profile: AgentProfile, settings: AgentSettings, bridge: BridgeSettings, builtin: frozenset[str]) -> None:
        self.bus = bus
        self.profile = profile
        name, instance, recall = profile.name, uuid7(), Recall(bus)
        self.members = Members(bus, name, instance, builtin)
        self.actor = Actor(bus, self.members.rank)
        until = self.actor.until
        self.learning = Learning(bus, name, self.members, until)
        self.emotion = Emotion(bus, name, profile.temperament, self.members, until)
        cases = CaseBuilder(recall, self.learning, self.emotion.alignment)
        self.consensus = Consensus(bus, name, profile.mind, self.members, cases, settings, until)
        self.tasks = Tasks(bus, name, instance, profile, self.members, self.emotion, self.learning, recall, settings, until)
        self.worker = Worker(self.tasks)
        self.door = Door(bus, profile, self.members, self.tasks, bridge, builtin) if bridge.prompts else None
        self.bridge = Bridge(bus, self.members, self.tasks, bridge) if bridge.members else None
        self.actor.protocols = (self.members, self.learning, self.consensus, self.emotion, self.tasks)

    async def run(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Join, work until `stop`, say goodbye. Raises what a part of it raised."""
        service = Service(self.bus, "mesh", "The protocols of the mesh, answered by any built-in agent")
        async with asyncio.TaskGroup() as group:
            await self.members.listen()
            await self.actor.run(group)
            beats = group.create_task(self.members.beat_for_ever(self._profile_now), name="presence")
            await self.actor.answer(service)
            await service.start()
            await self.worker.start(group)
            if self.door is not None:
                group.create_task(self.door.run(), name="be prompted")
            if self.bridge is not None:
                group.create_task(self.bridge.run(), name="bring agents in")
            ready()
            await stop.wait()
            beats.cancel()
            await self._leave(service)
            raise _StoppedError

    def _profile_now(self) -> Profile:
        return self.profile.announced(self.tasks.load())

    async def _leave(self, service: Service) -> None:
        try:
            await presence.goodbye(self.bus, self.profile.name, self.members.instance)
        except Unavailable as e:
            log.info("left without a goodbye: %s", e)
        await self.worker.stop()
        await service.stop()


class _StoppedError(Exception):
    """The agent was told to stop: its tasks end with it."""


async def run(
    name: str, bus: BusSettings, settings: AgentSettings, bridge: BridgeSettings, ready: Callable[[], None], stop: asyncio.Event
) -> None:
    """Run the agent `name` until `stop`. Raises `ProfileError` where no profile has that name."""
    profiles = load(settings.profiles_dir)
    if name not in profiles:
        raise ProfileError(f"no agent {name!r}; there are {', '.join(sorted(profiles))}")
    connection = await Bus.connect(bus, name)
    try:
        await Agent(connection, profiles[name], settings, bridge, frozenset(profiles)).run(ready, stop)
    except* _StoppedError:
        log.info("%s has left", name)
    finally:
        await connection.close()
