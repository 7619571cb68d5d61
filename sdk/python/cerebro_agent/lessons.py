"""Lessons: what others learned is handed to the agent once, and the receipt says that it has made it its own.

The log's copy of a lesson only wakes: what is still to be learned is asked of the mesh, which also knows the lessons that were told while
this agent was away.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec
from nats.aio.msg import Msg

from cerebro_agent.connection import Connection, derived
from cerebro_agent.errors import AgentError
from cerebro_agent.messages import Lesson
from cerebro_agent.names import Names

log = logging.getLogger("cerebro_agent")

PAGE_LEN = 50
"""Lessons asked for at a time."""
LOOK_S = 30.0
"""How often it is asked what is missing although nothing was heard."""
SHOWN_WITHIN_S = 5.0
"""How long a lesson that was heard may take until the mesh lists it."""
AGAIN_S = 0.1
"""Pause before the mesh is asked again for a lesson that was heard."""
RETRY_S = 2.0
"""Pause after the mesh did not answer, or a lesson could not be learned."""
LEARNED_MAX = 10_000
"""Most lessons of which it is remembered that they were learned just now."""


class Page(msgspec.Struct, frozen=True):
    lessons: list[Lesson]
    next_before: str | None = None


class Lessons:
    """`learn` is given each lesson, oldest first; returned means learned."""

    def __init__(self, connection: Connection, names: Names, agent: str, learn: Callable[[Lesson], Awaitable[None]]) -> None:
        self._connection = connection
        self._names = names
        self._agent = agent
        self._learn = learn
        self._awake = asyncio.Event()
        self._heard: dict[int, float] = {}
        self._learned: dict[int, None] = {}

    async def start(self) -> None:
        await self._connection.hear(self._names.heard_lessons, self._hear)
        self._connection.again.append(self._wake)

    async def _wake(self) -> None:
        self._awake.set()

    async def _hear(self, msg: Msg) -> None:
        seq = int((msg.headers or {}).get("Nats-Sequence", 0))
        if self._names.token(msg.subject, 2) != self._agent and seq not in self._learned:
            self._heard[seq] = asyncio.get_running_loop().time() + SHOWN_WITHIN_S
            self._awake.set()

    async def run(self) -> None:
        """Learn for ever."""
        while True:
            self._awake.clear()
            try:
                await self._learn_all()
            except AgentError as e:
                log.info("lessons are asked for again: %s", e)
                await asyncio.sleep(RETRY_S)
                continue
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._awake.wait()
            except TimeoutError:
                continue

    async def _learn_all(self) -> None:
        """Learn until nothing is missing that was heard."""
        while True:
            found = await self._learn_missing()
            if not found and not self._expected():
                return
            await asyncio.sleep(AGAIN_S)

    def _expected(self) -> bool:
        """Whether a lesson was heard that the mesh has not listed yet."""
        now = asyncio.get_running_loop().time()
        self._heard = {seq: until for seq, until in self._heard.items() if until > now}
        return bool(self._heard)

    async def _learn_missing(self) -> bool:
        """Learn what the mesh says is missing, oldest first; whether there was anything."""
        found: list[Lesson] = []
        before: str | None = None
        while True:
            wanted = {"missing_from": self._agent, "limit": PAGE_LEN} | ({"before": before} if before else {})
            page = await self._connection.ask(self._names.subject("ask.lessons"), wanted, Page)
            found += page.lessons
            before = page.next_before
            if before is None:
                break
        new = [lesson for lesson in reversed(found) if lesson.stream_seq not in self._learned]
        for lesson in new:
            await self._integrate(lesson)
        return bool(new)

    async def _integrate(self, lesson: Lesson) -> None:
        try:
            await self._learn(lesson)
        except Exception as e:
            log.exception("lesson %s was not learned; it is tried again", lesson.lesson_id)
            raise AgentError(f"{type(e).__name__}: {e}") from e
        receipt = {"lesson_id": lesson.lesson_id}
        await self._connection.put(self._names.integrated, receipt, derived(lesson.lesson_id, self._agent, "integrated"))
        self._heard.pop(lesson.stream_seq, None)
        self._learned[lesson.stream_seq] = None
        if len(self._learned) > LEARNED_MAX:
            del self._learned[next(iter(self._learned))]
