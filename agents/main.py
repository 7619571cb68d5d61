"""One agent, put together: the only place where its parts meet."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from agents.actor import Actor
from agents.consensus.actor import Consensus
from agents.consensus.case import CaseBuilder
from agents.emotion.actor import Emotion
from agents.emotion.appraiser import ModelAppraiser
from agents.learning.actor import Learning
from agents.llm import door
from agents.llm.door import LanguageModel
from agents.llm.faculty import Faculty
from agents.llm.prompt import persona
from agents.llm.settings import LlmSettings, settings_of
from agents.llm.tools import Lookups
from agents.members.actor import Members
from agents.minds.mind import Mind, RuleMind
from agents.minds.model import ModelMind
from agents.profiles import AgentProfile, ProfileError, load
from agents.recall import Recall
from agents.settings import AgentSettings
from agents.synadia.bridge import Bridge
from agents.synadia.door import Door
from agents.synadia.settings import BridgeSettings
from agents.tasks.actor import Tasks
from agents.tasks.consumers import Consumers
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
    """A built-in agent: four protocols over one fold, a worker for its tasks, the service `mesh`, and the door to other agents. With a
    `model` it uses that too.
    """

    def __init__(
        self,
        bus: Bus,
        profile: AgentProfile,
        settings: AgentSettings,
        bridge: BridgeSettings,
        builtin: frozenset[str],
        model: LanguageModel | None = None,
    ) -> None:
        self.bus = bus
        self.profile = profile
        name, instance, recall = profile.name, uuid7(), Recall(bus)
        self.members = Members(bus, name, instance, builtin)
        self.actor = Actor(bus, self.members.rank)
        until = self.actor.until
        faculty = self._faculty(model) if model is not None else None
        self.learning = Learning(bus, name, self.members, until, settings.lessons_per_minute_max)
        appraiser = ModelAppraiser(faculty) if faculty is not None and faculty.settings.appraisals else None
        self.emotion = Emotion(bus, name, profile.temperament, self.members, until, appraiser)
        cases = CaseBuilder(recall, self.learning, self.emotion.alignment)
        mind: Mind = RuleMind(profile.mind)
        if faculty is not None and faculty.settings.votes:
            mind = ModelMind(profile.mind, faculty, recall)
        self.consensus = Consensus(bus, name, mind, self.members, cases, settings, until)
        self.tasks = Tasks(bus, name, instance, profile, self.members, self.emotion, self.learning, recall, settings, until)
        self.worker = Worker(self.tasks, faculty=faculty)
        self.door = Door(bus, profile, self.members, self.tasks, bridge, builtin) if bridge.prompts else None
        self.bridge = Bridge(bus, self.members, self.tasks, bridge) if bridge.members else None
        consumers = Consumers(bus, self.members, settings.lease_s)
        self.actor.protocols = (self.members, self.learning, self.consensus, self.emotion, self.tasks, consumers)

    def _faculty(self, model: LanguageModel) -> Faculty:
        p = self.profile
        return Faculty(
            model=model,
            persona=persona(p.name, p.role, p.confidence_domains, p.communication_patterns),
            lookups=Lookups(self.bus, p.name, lambda: self.members.present("tasks")),
        )

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
            admitted = group.create_task(self.bus.while_admitted(), name="admitted")
            if self.door is not None:
                group.create_task(self.door.run(), name="be prompted")
            if self.bridge is not None:
                group.create_task(self.bridge.run(), name="bring agents in")
            group.create_task(self._say(ready), name="say ready")
            await stop.wait()
            admitted.cancel()
            beats.cancel()
            await self._leave(service)
            raise _StoppedError

    async def _say(self, ready: Callable[[], None]) -> None:
        """Say `ready` once this agent and the others know of each other, so that whoever asks then hears of all."""
        if not await self.members.settle():
            log.warning("%s works, but is not on the log yet or has not heard everyone whom the log names", self.profile.name)
        ready()

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
    name: str,
    bus: BusSettings,
    settings: AgentSettings,
    bridge: BridgeSettings,
    llm: LlmSettings,
    llm_by_agent: Mapping[str, LlmSettings],
    ready: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    """Run the agent `name` until `stop`. Raises `ProfileError` where no profile has that name, `Misconfigured` where its language model
    cannot be used.
    """
    profiles = load(settings.profiles_dir)
    if name not in profiles:
        raise ProfileError(f"no agent {name!r}; there are {', '.join(sorted(profiles))}")
    own = settings_of(name, profiles, llm, llm_by_agent)
    connection = await Bus.connect(bus, name)
    try:
        async with door.opened(connection, name, own) as model:
            await Agent(connection, profiles[name], settings, bridge, frozenset(profiles), model).run(ready, stop)
    except* _StoppedError:
        log.info("%s has left", name)
    finally:
        await connection.close()
