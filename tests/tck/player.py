"""An agent from outside, by nats-py and the wire contract alone: joins, takes tasks of its skills, and does what it is told to."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

BEAT_S = 1.0
"""How often it says that it lives."""
SIGN_S = 2.0
"""How often it says of each task that it still works on it, or still waits: the lease lasts longer."""

Play = Callable[["Part"], Awaitable[None]]


class Part:
    """One task that was assigned to it. `messages` are what its client said: the first, and every answer."""

    def __init__(self, nc: Client, agent: str, assigned: dict[str, Any]) -> None:
        self._js = nc.jetstream()
        self._agent = agent
        self._fence = assigned["fence"]
        self.task = assigned["task"]
        self.id = self.task["task_id"]
        self.state = "running"
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.messages.put_nowait(self.task["input"].get("message", {}))

    async def _say(self, verb: str, **body: Any) -> None:
        await self._js.publish(f"mesh.task.{self.id}.{verb}.{self._agent}", json.dumps({"fence": self._fence, **body}).encode())

    async def working(self, **more: Any) -> None:
        self.state = "running"
        await self._say("progress", state=self.state, **more)

    async def ask(self, **more: Any) -> None:
        self.state = "input_required"
        await self._say("progress", state=self.state, **more)

    async def artifact(self, ident: str, part: dict[str, Any], **more: Any) -> None:
        await self._say("progress", artifact={"artifact_id": ident, "parts": [part], **more})

    async def done(self, output: Any = None, **more: Any) -> None:
        await self._say("result", output=output, **more)

    async def fail(self, code: str, message: str) -> None:
        await self._say("failed", error={"code": code, "message": message, "retryable": False})

    async def sign(self) -> None:
        while True:
            await asyncio.sleep(SIGN_S)
            await self._say("progress", state=self.state)


class Player:
    """The agent `name`: takes tasks for `skills`, and plays each by `play`."""

    def __init__(self, nc: Client, name: str, skills: list[str], play: Play) -> None:
        self._nc = nc
        self._name = name
        self._profile = {"role": "actor", "skills": skills, "takes": ["tasks"]}
        self._play = play
        self._parts: dict[str, Part] = {}
        self._playing: dict[str, asyncio.Task[None]] = {}

    async def run(self, there: asyncio.Event) -> None:
        """Play until cancelled. `there` is set once it has joined."""
        js = self._nc.jetstream()
        config = ConsumerConfig(
            name=f"work-{self._name}",
            durable_name=f"work-{self._name}",
            filter_subject=f"mesh.task.*.assigned.{self._name}",
            ack_policy=AckPolicy.EXPLICIT,
            deliver_policy=DeliverPolicy.NEW,
        )
        await js.add_consumer("MESH", config)
        work = await js.pull_subscribe_bind(f"work-{self._name}", "MESH")
        await self._nc.subscribe("log.mesh.task.*.input.*", cb=self._answered)
        await self._nc.subscribe("log.mesh.task.*.finished", cb=self._finished)
        beating = asyncio.create_task(self._beat())
        there.set()
        try:
            while True:
                with suppress(nats.errors.TimeoutError):
                    for msg in await work.fetch(1, timeout=1):
                        self._take(json.loads(msg.data))
                        await msg.ack()
        finally:
            beating.cancel()
            for task in self._playing.values():
                task.cancel()
            await asyncio.gather(beating, *self._playing.values(), return_exceptions=True)
            await self._nc.publish(f"$KV.presence.{self._name}.1", b"", headers={"KV-Operation": "DEL"})
            await self._nc.flush()

    async def _beat(self) -> None:
        while True:
            await self._nc.publish(f"$KV.presence.{self._name}.1", json.dumps(self._profile).encode())
            await asyncio.sleep(BEAT_S)

    def _take(self, assigned: dict[str, Any]) -> None:
        part = Part(self._nc, self._name, assigned)
        self._parts[part.id] = part
        self._playing[part.id] = asyncio.create_task(self._one(part))

    async def _one(self, part: Part) -> None:
        signing = asyncio.create_task(part.sign())
        try:
            await self._play(part)
        finally:
            signing.cancel()
            await asyncio.gather(signing, return_exceptions=True)

    async def _answered(self, msg: Msg) -> None:
        part = self._parts.get(msg.subject.split(".")[3])
        if part is not None:
            part.state = "running"
            part.messages.put_nowait(json.loads(msg.data)["message"])

    async def _finished(self, msg: Msg) -> None:
        ident = msg.subject.split(".")[3]
        self._parts.pop(ident, None)
        if playing := self._playing.pop(ident, None):
            playing.cancel()


@asynccontextmanager
async def playing(credentials: dict[str, Any], name: str, skills: list[str], play: Play) -> AsyncIterator[None]:
    """A player on a mesh that admits it by these, as long as the block lasts."""
    nc = await nats.connect(**credentials)
    there = asyncio.Event()
    running = asyncio.create_task(Player(nc, name, skills, play).run(there))
    joined = asyncio.create_task(there.wait())
    await asyncio.wait({running, joined}, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield
    finally:
        running.cancel()
        joined.cancel()
        await asyncio.gather(running, joined, return_exceptions=True)
        await nc.close()
