"""What a mesh is asked for all the while something goes wrong, and what it acknowledged.

    load = Load(up, chances.random("load"), name="k3")
    async with load:
        ...                            # inject
    verdict = await judged(up, load)   # tests/faults/invariants.py

Episodes come through REST and from an agent of others on the bus; now and then there is a proposal, a task for one of the three, a task
for the agent of others, a lesson, a stimulus. What was answered with a 2xx was acknowledged. What the connection was lost over is neither:
half of the writers ask again under the same id until they hear, the others leave it at that.
"""

import asyncio
import contextlib
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any, Final, Self

import httpx
import msgspec

from cerebro.keys import Keys
from cerebro_agent import Agent, Lesson, Task, Unavailable
from tests.fuzz import watch
from tests.integration.launched import Up
from tests.integration.rest import BAD, GOOD

AGENTS: Final = ["aria", "nexus", "ricardo"]
HAND: Final = "hand-"
"""How the name of a load's own agent begins; the rest is the load's name."""
EPISODES, BUS, PROPOSALS, TASKS, EFFECTS, LESSONS, STIMULI = "episodes", "bus", "proposals", "tasks", "effects", "lessons", "stimuli"
KINDS: Final = (EPISODES, BUS, PROPOSALS, TASKS, EFFECTS, LESSONS, STIMULI)
WRITERS: Final = 4
"""How many write episodes through REST at once; every second one asks again until it is answered."""
PACE_S: Final = 0.1
"""Pause of a writer of episodes between two; the others take `SELDOM` times as long."""
SELDOM: Final = 10
AGAIN_S: Final = 0.3
"""Pause after what was not acknowledged."""
TIMEOUT_S: Final = 20.0
"""Longest wait for an answer of REST: longer than any answer may take by itself."""
HONEST: Final = {429, 503, 504}
"""How a mesh with a fault may refuse."""
STIMULUS, TASK = "/neural-mesh/emotional-sync", "/neural-mesh/task-distribute"
HONEST_OF: Final = {STIMULUS: HONEST | {404, 409}, TASK: HONEST | {422}}
"""Who is gone can appraise nothing, and after a minute nobody waits for its skills. Whether that is so, the log tells: see the oracle."""
INPUTS: Final[dict[str, dict[str, Any]]] = {
    "infrastructure_management": {},
    "knowledge_synthesis": {"question": "what happened"},
    "priority_setting": {"criteria": [{"name": "v", "weight": 1}], "items": [{"id": "a", "scores": {"v": 1}}]},
}
"""A skill of each of the three, and what it takes."""
ACTION: Final = "fault"
"""The action type of all episodes of loads."""


class Acknowledged(msgspec.Struct):
    """What was answered with a 2xx. `stimuli` holds causes, as a stimulus has no id that its sender knows."""

    episodes: dict[str, str] = {}
    proposals: list[str] = []
    tasks: list[str] = []
    lessons: list[str] = []
    stimuli: list[str] = []

    def total(self) -> int:
        return len(self.episodes) + len(self.proposals) + len(self.tasks) + len(self.lessons) + len(self.stimuli)


class Load:
    """May be entered again; what was acknowledged adds up. `name` marks what it writes; `only` and `pace_s` cut it down."""

    def __init__(self, up: Up, rng: random.Random, *, name: str, only: Collection[str] = KINDS, pace_s: float = PACE_S) -> None:
        self.up = up
        self.name = name
        self.acknowledged = Acknowledged()
        self.refused: Counter[int] = Counter()
        self.unknown = 0
        self.unexpected: list[str] = []
        self.effects: list[tuple[str, int, int]] = []
        """What the load's own agent did: task, fence, and in which of its lives: a process that is gone tells its next one nothing."""
        self.poison: set[bytes] = set()
        """Malformed bodies that the test itself put on the log, if any."""
        self.logs = watch.Logs(up.data)
        self.processes = watch.Processes(up.data)
        self._rng = rng
        self._only = only
        self._pace_s = pace_s
        self._n = 0
        self._lives = 0
        self._stop = asyncio.Event()
        self._ended = contextlib.AsyncExitStack()
        self._group: asyncio.TaskGroup | None = None

    @property
    def hand(self) -> str:
        """The name of its own agent."""
        return HAND + self.name

    @property
    def skill(self) -> str:
        """What only that agent can do."""
        return f"effect_{self.name}"

    async def __aenter__(self) -> Self:
        self._stop.clear()
        self._ended = contextlib.AsyncExitStack()
        await self._ended.__aenter__()
        http = await self._ended.enter_async_context(httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False))
        agent = await self._ended.enter_async_context(self.hands()) if {BUS, EFFECTS} & set(self._only) else None
        self._group = await self._ended.enter_async_context(asyncio.TaskGroup())
        for kind in self._only:
            for number in range(WRITERS if kind == EPISODES else 1):
                pace_s = self._pace_s if kind in {EPISODES, BUS} else self._pace_s * SELDOM
                writes = self._writing(kind, number, http, agent)
                self._group.create_task(self._for_ever(writes, pace_s), name=f"{kind} {number}")
        return self

    async def __aexit__(self, *error: object) -> None:
        """Writers end when they have heard what became of their last word, which takes `TIMEOUT_S` at the longest, or the SDK's time."""
        self._stop.set()
        await self._ended.__aexit__(*error)  # type: ignore[arg-type]

    @contextlib.asynccontextmanager
    async def hands(self) -> AsyncIterator[Agent]:
        """The load's own agent, by the SDK, for as long as this lasts: it takes lessons, and tasks whose effect is counted."""
        url = str(self.up.admitted(self.hand)["servers"])
        self._lives += 1
        life = self._lives
        agent = Agent(self.hand, role="witness", nats_url=url, nkey_seed=str(Keys(self.up.data).seed(self.hand)))

        @agent.skill(self.skill, "Does something in the world outside that can be counted.")
        async def effect(takes_s: float, task: Task) -> dict[str, int]:
            await asyncio.sleep(takes_s)
            self.effects.append((task.task_id, task._fence, life))
            return {"effect": len(self.effects)}

        @agent.on_lesson
        async def learn(_lesson: Lesson) -> None:
            """Its receipt is what is looked at."""

        async with agent.running():
            yield agent

    async def _for_ever(self, write: Callable[[], Awaitable[bool]], pace_s: float) -> None:
        while not self._stop.is_set():
            done = await write()
            await asyncio.sleep(self._rng.uniform(0.5, 1.5) * (pace_s if done else max(pace_s, AGAIN_S)))

    def _writing(self, kind: str, number: int, http: httpx.AsyncClient, agent: Agent | None) -> Callable[[], Awaitable[bool]]:
        match kind:
            case "episodes":
                return lambda: self._episode(http, again=number % 2 == 0)
            case "bus":
                assert agent is not None
                return lambda: self._on_the_bus(agent)
            case "proposals":
                return lambda: self._proposal(http)
            case "tasks":
                return lambda: self._task(http, *self._rng.choice(list(INPUTS.items())))
            case "effects":
                return lambda: self._task(http, self.skill, {"takes_s": self._rng.choice([0.0, 0.1, 0.5, 3.0])})
            case "lessons":
                return lambda: self._lesson(http)
            case "stimuli":
                return lambda: self._stimulus(http)
        raise ValueError(f"there are no {kind} to be written")

    def _said(self) -> str:
        """A text that stands nowhere else."""
        self._n += 1
        return f"{self.name} {self._n} {self._rng.getrandbits(64):016x}"

    async def _post(self, http: httpx.AsyncClient, path: str, body: dict[str, Any], again: bool = False) -> Any:
        """The answer's body, or None where it was not acknowledged. With `again` it is asked until it is, or refused for good."""
        while True:
            try:
                answer = await http.post(self.up.run.http + path, json=body)
            except httpx.HTTPError:
                if not again or self._stop.is_set():
                    self.unknown += 1
                    return None
                await asyncio.sleep(AGAIN_S)
                continue
            if answer.is_success:
                return answer.json()
            if answer.status_code not in HONEST_OF.get(path, HONEST):
                self.unexpected.append(f"{path}: {answer.status_code} {answer.text[:300]}")
                return None
            self.refused[answer.status_code] += 1
            if not again or self._stop.is_set():
                return None
            await asyncio.sleep(AGAIN_S)

    async def _episode(self, http: httpx.AsyncClient, *, again: bool) -> bool:
        text = self._said()
        body = {"action_type": ACTION, "action_details": {"text": text}, "agent_id": f"load-{self.name}"}
        if again:
            body["episode_id"] = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        if answer := await self._post(http, "/memory/action", body, again):
            self.acknowledged.episodes[answer["episode_id"]] = text
        return answer is not None

    async def _on_the_bus(self, agent: Agent) -> bool:
        text = self._said()
        try:
            ident = await agent.remember(ACTION, {"text": text})
        except Unavailable:
            self.unknown += 1
            return False
        self.acknowledged.episodes[ident] = text
        return True

    async def _proposal(self, http: httpx.AsyncClient) -> bool:
        rng = self._rng
        body = {"title": self._said(), "attributes": rng.choice([GOOD, GOOD, BAD]), "electorate": AGENTS, "wait": False}
        if answer := await self._post(http, "/neural-mesh/consensus", body | {"timeout_s": rng.choice([0.5, 2.0, 10.0, 20.0])}):
            self.acknowledged.proposals.append(answer["proposal_id"])
        return answer is not None

    async def _task(self, http: httpx.AsyncClient, skill: str, given: dict[str, Any]) -> bool:
        timeout_s = self._rng.choice([5.0, 60.0, 60.0])
        body = {"title": self._said(), "required_skills": [skill], "input": given, "timeout_s": timeout_s}
        if answer := await self._post(http, TASK, body):
            self.acknowledged.tasks.append(answer["task_id"])
        return answer is not None

    async def _lesson(self, http: httpx.AsyncClient) -> bool:
        body = {"agent": self._rng.choice(AGENTS), "topic": self._said(), "content": "what a fault taught", "wait_s": 0}
        if answer := await self._post(http, "/neural-mesh/cross-learning", body):
            self.acknowledged.lessons.append(answer["lesson_id"])
        return answer is not None

    async def _stimulus(self, http: httpx.AsyncClient) -> bool:
        cause = self._said()
        body = {
            "agent": self._rng.choice(AGENTS),
            "event": self._rng.choice(["praise", "threat", "relief"]),
            "intensity": 0.2,
            "cause": cause,
        }
        if answer := await self._post(http, STIMULUS, body):
            self.acknowledged.stimuli.append(cause)
        return answer is not None
