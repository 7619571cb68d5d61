"""Questions all the while something goes wrong: each must be answered, and honestly, within its own time.

async with Asking(up, rng) as asking:
    ...
assert not asking.dishonest
"""

import asyncio
import random
import time
from collections import Counter
from typing import Any, Final, Self

import httpx
import msgspec

from gateway.settings import GatewaySettings
from tests.faults.load import HONEST
from tests.integration.launched import Up

DEFAULTS: Final = GatewaySettings()
GRACE_S: Final = 10.0
"""How much longer than it may an answer takes on a machine that does other things."""
PAUSE_S: Final = 0.2


class Question(msgspec.Struct, frozen=True):
    """`limit_s`: longest time that the door waits for its answer."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    limit_s: float = DEFAULTS.ask_s


QUESTIONS: Final = (
    Question("POST", "/memory/search", {"query": "what a fault taught {n}"}, DEFAULTS.search_s),
    Question("GET", "/memory/episodic/recent?limit=20"),
    Question("GET", "/memory/episodic/nothing-{n}"),
    Question("PUT", "/memory/working/asking/{n}", {"context_data": {"n": 1}}),
    Question("GET", "/memory/working?session_id=asking"),
    Question("GET", "/memory/semantic?limit=10"),
    Question("GET", "/memory/continuity/nexus"),
    Question("GET", "/memory/graph/nothing-{n}"),
    Question("GET", "/neural-mesh/connected-agents"),
    Question("GET", "/neural-mesh/tasks?limit=5"),
    Question("GET", "/neural-mesh/consensus?limit=5"),
    Question("GET", "/health", limit_s=4 * DEFAULTS.health_check_s),
)
"""At least one of each part that is asked."""


class Asking:
    """One asker a question. `heard`: how often which status; `refused`: those that say that it cannot be done now, by question."""

    def __init__(self, up: Up, rng: random.Random, questions: tuple[Question, ...] = QUESTIONS) -> None:
        self.heard: Counter[int] = Counter()
        self.refused: Counter[str] = Counter()
        self.dishonest: list[str] = []
        self.slowest: dict[str, float] = {}
        self._up = up
        self._rng = rng
        self._questions = questions
        self._tasks: list[asyncio.Task[None]] = []
        self._stop = asyncio.Event()
        self._n = 0

    async def __aenter__(self) -> Self:
        self._stop.clear()
        self._tasks = [asyncio.create_task(self._ask(q), name=f"ask {q.path}") for q in self._questions]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def _ask(self, question: Question) -> None:
        async with httpx.AsyncClient(timeout=question.limit_s + GRACE_S, trust_env=False) as http:
            while not self._stop.is_set():
                await self._once(http, question)
                await asyncio.sleep(self._rng.uniform(0.5, 1.5) * PAUSE_S)

    async def _once(self, http: httpx.AsyncClient, question: Question) -> None:
        self._n += 1
        path = question.path.replace("{n}", str(self._n))
        body = {k: v.replace("{n}", str(self._n)) if isinstance(v, str) else v for k, v in question.body.items()} if question.body else None
        began = time.monotonic()
        try:
            answer = await http.request(question.method, self._up.run.http + path, json=body)
        except httpx.HTTPError as e:
            self.dishonest.append(f"{question.method} {path}: no answer within {time.monotonic() - began:.1f} s: {type(e).__name__} {e}")
            return
        took = time.monotonic() - began
        self.heard[answer.status_code] += 1
        self.slowest[question.path] = max(self.slowest.get(question.path, 0.0), round(took, 1))
        if answer.status_code in HONEST:
            self.refused[question.path] += 1
        if fault := dishonest(answer):
            self.dishonest.append(f"{question.method} {path}: {fault}")


def dishonest(answer: httpx.Response) -> str | None:
    """What is wrong with an answer that says that it cannot be done; None where nothing is."""
    if answer.status_code < 500 and answer.status_code != 429:
        return None
    shown = f"{answer.status_code} {answer.text[:300]}"
    if answer.url.path == "/health":
        return None if answer.status_code == 503 and answer.json().get("components") else shown
    if answer.status_code not in HONEST:
        return shown
    if answer.status_code != 504 and "retry-after" not in answer.headers:
        return f"no Retry-After: {shown}"
    return None if answer.headers["content-type"] == "application/problem+json" else f"no problem document: {shown}"
