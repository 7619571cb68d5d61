"""One instance of a built-in agent: the real protocols, the real actor's law of duties and the real worker, on a virtual connection.

What is not real: how entries come to it (with delays, in the order of the log), when it looks for duties, and how its assignments are
handed out (`VirtualWork`).
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from agents.actor import Actor
from agents.consensus.actor import Consensus
from agents.emotion.actor import Emotion
from agents.learning.actor import Learning
from agents.members.actor import Members
from agents.minds.case import Case
from agents.minds.mind import RuleMind
from agents.profiles import AgentProfile
from agents.recall import Recall
from agents.settings import AgentSettings
from agents.skills.skill import Skill
from agents.tasks.actor import Tasks
from agents.tasks.matching import Choice
from agents.tasks.success import SuccessBook
from agents.tasks.worker import Worker
from bus import presence
from bus.errors import Unavailable
from schemas.consensus import Opened
from schemas.members import Profile
from schemas.tasks import Submission
from tests.simulation.client import VirtualClient, WatchedBus
from tests.simulation.loop import OWNER, Owned, passes
from tests.simulation.server import START_S
from tests.simulation.work import VirtualWork

AGENTS = ("aria", "nexus", "ricardo")
SKILLS_OF = {"aria": ["work"], "nexus": ["work", "rare"], "ricardo": ["work", "fine"]}
TEMPERAMENT_OF = {"aria": (0.2, 0.1, 0.0), "nexus": (0.1, 0.0, 0.3), "ricardo": (0.0, 0.0, 0.4)}
SETTINGS = AgentSettings(
    lease_s=3.0, progress_s=0.8, task_concurrency=2, steal_after_s=1.0, skill_timeout_s=5.0, retry_first_s=5.0, retry_max_s=5.0
)
"""Short leases, so that a history is short; a pause before another try that is longer than a clock is wrong."""
BEAT_S = 1.0
"""How often an instance says that it lives."""
LEAVES_WITHIN_S = 0.2
"""How long an instance is still there after its goodbye."""
THINKS_S_MAX = 0.5
"""Longest time in which a mind comes to its vote."""


class Cases:
    """Stands for `CaseBuilder`, which asks memory: there is none here, and thinking takes a moment."""

    def __init__(self, thinks_s: Callable[[], float]) -> None:
        self._thinks_s = thinks_s

    async def build(self, ident: str, opened: Opened, proposals: object) -> Case:
        await passes(self._thinks_s())
        return Case(proposal_id=ident, proposal=opened, memory_complete=False)


class Node:
    """One instance. `world` is asked for chance, the loop, the server and the network."""

    def __init__(self, world: Any, agent: str, number: int, skew_s: float) -> None:
        self.world = world
        self.agent = agent
        self.instance = f"{agent}-{number}"
        self.skew_s = skew_s
        self.position = 0
        self.caught_up = False
        self.leaves = False
        self._owned: Owned = {}
        self._context = contextvars.copy_context()
        self._context.run(OWNER.set, self._owned)
        self._reading: asyncio.TimerHandle | None = None
        self.client = VirtualClient(world.loop, world.server, world.network, world.heard)
        self.bus = WatchedBus(world.acknowledged, self.client, self._clock)
        self._context.run(self._compose)

    def _clock(self) -> float:
        return float(START_S + self.world.loop.time() + self.skew_s)

    def _compose(self) -> None:
        """As `agents.main.Agent` does, without the service and the reader of the log."""
        bus, name, world = self.bus, self.agent, self.world
        profile = AgentProfile(
            name=name,
            role="simulated",
            primary_functions=SKILLS_OF[name],
            confidence_domains=[],
            communication_patterns=[],
            mind=world.mind_of[name],
            temperament=TEMPERAMENT_OF[name],
        )
        self.members = Members(bus, name, self.instance, frozenset(AGENTS))
        self.actor = Actor(bus, self.members.rank)
        until = self.actor.until
        self.learning = Learning(bus, name, self.members, until)
        self.emotion = Emotion(bus, name, profile.temperament, self.members, until)
        cases: Any = Cases(lambda: world.rng.uniform(0, THINKS_S_MAX))
        self.consensus = Consensus(bus, name, RuleMind(profile.mind), self.members, cases, SETTINGS, until)
        self.tasks = Tasks(bus, name, self.instance, profile, self.members, self.emotion, self.learning, Recall(bus), SETTINGS, until)
        self._works = world.kind in {"tasks", "all"}
        if self._works:
            self._compose_worker()
        there = {"learning": self.learning, "consensus": self.consensus, "emotion": self.emotion, "tasks": self.tasks}
        self.actor.protocols = (self.members, *(there[k] for k in there if world.kind in (k, "all")))

    def _compose_worker(self) -> None:
        world, name = self.world, self.agent
        run = partial(world.perform, self.instance)
        skills = {s: Skill(name=s, description="", input=dict[str, Any], output=Any, run=run) for s in SKILLS_OF[name]}
        self.worker = Worker(self.tasks, skills)
        self.work = VirtualWork(world.works[name], self)

    @property
    def dead(self) -> bool:
        return self.client.dead

    # its life

    def start(self) -> None:
        """Read the kept lessons, then the log; beat."""
        for message in self.world.server.kept():
            self.actor._apply(message.entry)
        self.expect_entries()
        self._every(BEAT_S, self._beat)
        self._every(None, self._tick)

    def crash(self) -> None:
        """As by SIGKILL: what it has sent may still arrive, nothing else is done."""
        self.client.dead = True
        for task in list(self._owned):
            task.cancel()

    def leave(self) -> None:
        """Say goodbye, then end."""
        self.leaves = True
        self._run(self._goodbye())
        self.world.loop.call_later(LEAVES_WITHIN_S, self.crash)

    async def _goodbye(self) -> None:
        with suppress(Unavailable):
            await presence.goodbye(self.bus, self.agent, self.instance)

    def create_task(self, work: Coroutine[Any, Any, Any], *, name: str | None = None) -> asyncio.Task[Any]:
        """What the actor asks of its task group."""
        task: asyncio.Task[Any] = self.world.loop.create_task(work, name=name)
        return task

    def _run(self, work: Coroutine[Any, Any, Any]) -> None:
        self._context.run(self.create_task, work)

    def _every(self, period_s: float | None, do: Callable[[], None]) -> None:
        """For as long as it lives; without a period, at times drawn anew each time."""
        if self.dead:
            return
        self._context.run(do)
        self.world.loop.call_later(period_s or self.world.tick_s(), self._every, period_s, do)

    def _beat(self) -> None:
        if not self.leaves:
            self.create_task(self.members.beat(self.profile()))

    def profile(self) -> Profile:
        """What it says of itself."""
        return Profile(role="simulated", skills=list(SKILLS_OF[self.agent]), load=self.tasks.load() if self._works else 0.0)

    def hear(self, agent: str, instance: str, profile: Profile | None) -> None:
        """A beat, or a goodbye, of another or of itself."""
        still = self.world.loop.time() < self.client.stands_still_until
        if not (self.dead or self.client.cut or self.client.away or still):
            with suppress(StopIteration):  # it awaits nothing
                self.members._heard(agent, instance, profile).send(None)

    # reading and working

    def expect_entries(self) -> None:
        """Something stands in the log that it has not read."""
        if not self.dead and self._reading is None:
            at_s = max(self.world.loop.time(), self.client.stands_still_until) + self.world.network.reader_s()
            self._reading = self.world.loop.call_at(at_s, self._context.run, self._deliver)

    def read_now(self) -> None:
        """What was on its way comes at once."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        self.expect_entries()

    def _deliver(self) -> None:
        """Some or all of what it has not read, in the order of the log."""
        self._reading = None
        if self.dead:
            return
        if not (self.client.cut or self.client.away):
            waiting = self.world.server.after(self.position)
            for message in waiting[: self.world.portion(len(waiting))]:
                self.position = message.seq
                self.actor._apply(message.entry)
            self._woken()
        if self.position < self.world.server.seq:
            self.expect_entries()

    def _woken(self) -> None:
        self.caught_up = self.caught_up or self.position >= self.world.server.seq
        self.actor._changed.set()
        self.actor._changed = asyncio.Event()
        self._tick()

    def _tick(self) -> None:
        if self.caught_up:
            self.actor._look(self)  # type: ignore[arg-type]
            if self._works:
                self.work.pull()

    def would_assign(self) -> Choice | None:
        """Who would get the next task by what it knows, with the scores of all."""
        task = Submission(title="The next one", required_skills=["work"], domain="any")
        return self.tasks._choose(task, self.tasks._candidates(), frozenset()) if self._works else None

    def state(self) -> dict[str, bytes]:
        """What it knows of every proposal, task and lesson, as bytes that can be compared."""
        folds: dict[str, Any] = {
            **{f"proposal {i}": s for i, s in self.consensus._proposals.items()},
            **{f"task {i}": s for i, s in (self.tasks.book.open | self.tasks.book.ended).items()},
            **{f"lesson {i}": s for i, s in self.learning._lessons.items()},
            **{f"member {i}": s for i, s in self.members.roster.items()},
        }
        told = {name: msgspec.json.encode(_ordered(state)) for name, state in folds.items()}
        return told | {f"success of {agent}": _counted(book) for agent, book in self.tasks.book.success.items()}


def _counted(book: SuccessBook) -> bytes:
    return msgspec.json.encode([book.all, sorted(book.skills.items()), sorted(book.domains.items())])


def _ordered(state: Any) -> Any:
    """Sets have no order; sorted, equal ones are equal bytes."""
    fields = {name: getattr(state, name) for name in state.__struct_fields__}
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in fields.items()}
