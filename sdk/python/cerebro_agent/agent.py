"""The agent: its name, what it can and does, and its life in the mesh."""

import asyncio
import contextlib
import inspect
import logging
import os
import re
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

from cerebro_agent.affect import Feelings
from cerebro_agent.connection import Connection
from cerebro_agent.errors import NameTaken, Unavailable
from cerebro_agent.lessons import Lessons
from cerebro_agent.messages import Affect, Lesson, Profile, Proposal, Stimulus, Vote
from cerebro_agent.names import Names
from cerebro_agent.presence import Presence
from cerebro_agent.skills import Function, Skill
from cerebro_agent.task import Task
from cerebro_agent.votes import Votes
from cerebro_agent.work import Work

log = logging.getLogger("cerebro_agent")

URL = "nats://127.0.0.1:4222"
CONCURRENCY = 4
"""Most tasks, and most votes, at a time."""

F = TypeVar("F", bound=Callable[..., Any])


class Agent:
    """One instance of an agent. Decorate functions with `skill`, `vote`, `on_lesson`, `on_affect`, `on_stimulus`, then `run`.

    `name` is a token of `a-z 0-9 - _`; several processes may run under one name if they have the same role and skills: they share its
    tasks. What is not given is taken from the environment: `nats_url` from CEREBRO_NATS_URL, `nkey_seed` (path of the file) from
    CEREBRO_NATS_NKEY, `prefix` from CEREBRO_BUS_PREFIX. `affect` is what the agent feels when it comes.
    """

    def __init__(
        self,
        name: str,
        *,
        role: str,
        domains: Sequence[str] = (),
        affect: Affect | None = None,
        concurrency: int = CONCURRENCY,
        nats_url: str | None = None,
        nkey_seed: str | None = None,
        prefix: str | None = None,
    ) -> None:
        if not re.fullmatch(r"[a-z0-9_-]{1,63}", name):
            raise ValueError(f"{name!r} is no name of an agent: 1–63 of a-z 0-9 - _")
        self.name = name
        self.role = role
        self.domains = list(domains)
        self.affect = affect or Affect(valence=0.0, arousal=0.0, dominance=0.0, cause="awake")
        self._concurrency = concurrency
        self._url = nats_url or os.environ.get("CEREBRO_NATS_URL", URL)
        self._seed = nkey_seed or os.environ.get("CEREBRO_NATS_NKEY") or None
        chosen = prefix if prefix is not None else os.environ.get("CEREBRO_BUS_PREFIX", "")
        self._names = Names(name, uuid.uuid4().hex, chosen)
        self._skills: dict[str, Skill] = {}
        self._judge: Function | None = None
        self._learners: list[Function] = []
        self._listeners: list[Function] = []
        self._appraiser: Function | None = None
        self._connection: Connection | None = None

    # what it can and does

    def skill(self, name: str | None = None, description: str | None = None) -> Callable[[F], F]:
        """A skill that the agent announces; by default it has the function's name and the first paragraph of its docstring."""

        def add(function: F) -> F:
            told = description if description is not None else (inspect.getdoc(function) or "").partition("\n\n")[0]
            made = Skill(name or function.__name__, told, function, Task)
            if made.name in self._skills:
                raise ValueError(f"there is a skill {made.name} already")
            self._skills[made.name] = made
            return function

        return add

    def vote(self, function: F) -> F:
        """Judges a `Proposal`: returns a `Vote`, one of the options, or None not to vote. With it the agent is in the electorate."""
        if self._judge is not None:
            raise ValueError("an agent has one judge")
        self._judge = function
        return function

    def on_lesson(self, function: F) -> F:
        """Learns a `Lesson` of another agent; where it raises, it is given the lesson again later."""
        self._learners.append(function)
        return function

    def on_affect(self, function: F) -> F:
        """Hears what another agent feels: its name and its `Affect`."""
        self._listeners.append(function)
        return function

    def on_stimulus(self, function: F) -> F:
        """Appraises a `Stimulus`: returns the `Affect` that this agent has then, or None."""
        self._appraiser = function
        return function

    def profile(self, load: float = 0.0) -> Profile:
        """What the agent says of itself."""
        takes = [kind for kind, has in (("lessons", self._learners), ("votes", self._judge), ("tasks", self._skills)) if has]
        skills = [skill.announced() for skill in self._skills.values()]
        return Profile(role=self.role, skills=skills, confidence_domains=self.domains, load=load, takes=takes)

    # what it says by itself

    async def feel(self, affect: Affect) -> None:
        """Say what the agent feels. Raises `Unavailable`."""
        self.affect = affect
        await self._connected().put(self._names.affect, affect)

    async def teach(self, topic: str, content: str, **more: Any) -> str:
        """Tell all others what this agent has learned; `more`: `domain`, `confidence`, `tags`. The lesson's id. Raises `Unavailable`."""
        lesson_id = str(uuid.uuid4())
        await self._connected().put(self._names.lesson, {"topic": topic, "content": content, **more}, lesson_id)
        return lesson_id

    async def propose(self, title: str, **more: Any) -> str:
        """Put something to the vote; `more`: `description`, `options`, `attributes`, `timeout_s`, … Its id. Raises `Unavailable`."""
        proposal_id = str(uuid.uuid4())
        await self._connected().put(self._names.proposal(proposal_id), {"title": title, **more})
        return proposal_id

    async def submit(self, title: str, **more: Any) -> str:
        """Submit a task to the mesh; `more`: `required_skills`, `input`, `timeout_s`, … Its id. Raises `Unavailable`."""
        task_id = str(uuid.uuid4())
        await self._connected().put(self._names.submitted(task_id), {"title": title, **more})
        return task_id

    async def remember(self, action_type: str, details: dict[str, Any], **more: Any) -> str:
        """Leave an episode in memory; `more`: `tags`, `importance_score`, `session_id`, … Its id. Raises `Unavailable`."""
        episode_id = str(uuid.uuid4())
        await self._connected().put(self._names.episode, {"action_type": action_type, "action_details": details, **more}, episode_id)
        return episode_id

    async def ask(self, subject: str, body: Any, timeout_s: float = 5.0) -> Any:
        """Ask the mesh (`memory.search`, `ask.task`, …). Raises `Unavailable`, `Refused`."""
        return await self._connected().ask(self._names.subject(subject), body, object, timeout_s)

    def _connected(self) -> Connection:
        if self._connection is None:
            raise Unavailable(f"{self.name} is not running")
        return self._connection

    # its life

    def run(self) -> None:
        """Join, work until SIGTERM or SIGINT, say goodbye. Raises `NameTaken`, `NotAdmitted`."""
        asyncio.run(self._until_told())

    async def _until_told(self) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await self.serve(stop)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Agent"]:
        """The agent within an event loop of yours, until the block ends."""
        stop, ready = asyncio.Event(), asyncio.Event()
        life = asyncio.create_task(self.serve(stop, ready), name=self.name)
        waiting = asyncio.create_task(ready.wait(), name="ready")
        await asyncio.wait({life, waiting}, return_when=asyncio.FIRST_COMPLETED)
        try:
            if life.done():
                await life
            yield self
        finally:
            waiting.cancel()
            stop.set()
            await life

    async def serve(self, stop: asyncio.Event, ready: asyncio.Event | None = None) -> None:
        """Join and work until `stop`; `ready` is set once everything is heard. Raises `NameTaken`, `NotAdmitted`."""
        while not stop.is_set():
            opening = asyncio.create_task(Connection.open(self._url, self._seed, self.name, self._names.inbox), name="connect")
            if not await _before(stop, opening):
                return
            connection = opening.result()
            try:
                await self._live(connection, stop, ready or asyncio.Event())
            except* _OverError:
                log.info("%s has left", self.name)
            except* NameTaken as taken:
                raise taken.exceptions[0] from None
            if connection.refusal is not None:
                raise connection.refusal

    async def _live(self, connection: Connection, stop: asyncio.Event, ready: asyncio.Event) -> None:
        """One connection's time: until `stop`, or until it is closed for good."""
        work = Work(connection, self._names, self.name, self._skills, self._concurrency)
        presence = Presence(connection, self._names, self.name, lambda: self.profile(work.load()))
        lessons = Lessons(connection, self._names, self.name, self._learn)
        votes = Votes(connection, self._names, self.name, self._vote, self._concurrency)
        feelings = Feelings(connection, self._names, self.name, self._hear, self._appraise)
        try:
            async with asyncio.TaskGroup() as group:
                for part, wanted in ((work, self._skills), (lessons, self._learners), (votes, self._judge), (feelings, True)):
                    if wanted:
                        await part.start()
                        group.create_task(part.run(), name=type(part).__name__.lower())
                await connection.nc.flush()
                self._connection = connection
                group.create_task(self._awake(), name="awake")
                group.create_task(presence.watch_name(), name="name")
                beats = group.create_task(presence.run(), name="presence")
                ready.set()
                closed = asyncio.create_task(connection.closed.wait(), name="closed")
                await _before(stop, closed)
                beats.cancel()
                await presence.goodbye()
                raise _OverError
        finally:
            self._connection = None
            await connection.close()

    async def _awake(self) -> None:
        try:
            await self.feel(self.affect)
        except Unavailable as e:
            log.info("what %s feels is not told yet: %s", self.name, e)

    async def _learn(self, lesson: Lesson) -> None:
        for learner in self._learners:
            await _called(learner, lesson)

    async def _vote(self, proposal: Proposal) -> Vote | str | None:
        found: Vote | str | None = await _called(self._judge, proposal) if self._judge else None
        return found

    async def _hear(self, agent: str, affect: Affect) -> None:
        for listener in self._listeners:
            await _called(listener, agent, affect)

    async def _appraise(self, stimulus: Stimulus) -> Affect | None:
        felt: Affect | None = await _called(self._appraiser, stimulus) if self._appraiser else None
        self.affect = felt or self.affect
        return felt


class _OverError(Exception):
    """The agent was told to stop, or its connection is closed."""


async def _before(stop: asyncio.Event, task: asyncio.Task[Any]) -> bool:
    """Wait for the task or for `stop`, whichever comes first; whether it was the task. The other one is cancelled."""
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({stopping, task}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not task.done():
        task.cancel()
        return False
    return not stop.is_set()


async def _called(function: Function, *arguments: Any) -> Any:
    """What a handler returns: a coroutine is awaited, a plain function runs in a thread."""
    if inspect.iscoroutinefunction(function):
        return await function(*arguments)
    return await asyncio.to_thread(function, *arguments)
