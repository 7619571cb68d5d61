"""Affect: what others say they feel is handed to the agent, and what it is asked to appraise; it says what it feels itself."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec
from nats.aio.msg import Msg

from cerebro_agent.connection import Connection
from cerebro_agent.errors import BAD_BODY, AgentError
from cerebro_agent.messages import Affect, Stimulus
from cerebro_agent.names import Names

log = logging.getLogger("cerebro_agent")

WAITING_MAX = 1_000
"""Most states and stimuli that wait for their handler; where there are more, the oldest are given up: the last state holds."""

Hear = Callable[[str, Affect], Awaitable[None]]
Appraise = Callable[[Stimulus], Awaitable[Affect | None]]


class Feelings:
    """`hear` is given the name and the state of each other agent, `appraise` what this one is asked to appraise."""

    def __init__(self, connection: Connection, names: Names, agent: str, hear: Hear, appraise: Appraise) -> None:
        self._connection = connection
        self._names = names
        self._agent = agent
        self._hear = hear
        self._appraise = appraise
        self._waiting: asyncio.Queue[tuple[str, Affect | Stimulus]] = asyncio.Queue(WAITING_MAX)

    async def start(self) -> None:
        await self._connection.hear(self._names.heard_affects, self._state)
        await self._connection.hear(self._names.heard_stimuli, self._stimulus)

    async def _state(self, msg: Msg) -> None:
        agent = self._names.token(msg.subject, 2)
        if agent != self._agent:
            self._take(agent, msg, Affect)

    async def _stimulus(self, msg: Msg) -> None:
        self._take(self._agent, msg, Stimulus)

    def _take(self, agent: str, msg: Msg, kind: type[Affect | Stimulus]) -> None:
        try:
            told = msgspec.json.decode(msg.data, type=kind)
        except BAD_BODY as e:
            log.warning("%s is no %s: %s", msg.subject, kind.__name__, e)
            return
        if self._waiting.full():
            self._waiting.get_nowait()
        self._waiting.put_nowait((agent, told))

    async def run(self) -> None:
        """Hear and appraise for ever, one after the other."""
        while True:
            agent, told = await self._waiting.get()
            try:
                if isinstance(told, Affect):
                    await self._hear(agent, told)
                elif (felt := await self._appraise(told)) is not None:
                    await self.say(felt)
            except AgentError as e:
                log.warning("what this agent feels was not told: %s", e)
            except Exception:
                log.exception("a handler of affect failed")

    async def say(self, affect: Affect) -> None:
        """Publish what this agent feels. Raises `Unavailable`."""
        await self._connection.put(self._names.affect, affect)
