"""The durable consumer of one agent's assignments in virtual time: each is handed to one instance, and again until it is acknowledged."""

from types import SimpleNamespace
from typing import Any

import msgspec

from bus import subjects
from bus.log import Delivery
from tests.simulation.server import VirtualServer, matches

ACK_WAIT_S = 1.5


class Held(msgspec.Struct):
    """An assignment that waits for its outcome: not before `again_at` is it handed out again."""

    again_at: float
    delivered: int


class WorkQueue:
    """The place of one agent in its assignments, kept on the server: it outlives every instance."""

    def __init__(self, agent: str, server: VirtualServer) -> None:
        self._filter = subjects.TASK_ASSIGNED.subject(agent=agent)
        self._server = server
        self._position = 0
        self.held: dict[int, Held] = {}

    def waiting(self, now: float) -> bool:
        """Whether there may be something to hand out."""
        return self._position < self._server.seq or any(held.again_at <= now for held in self.held.values())

    def next(self, now: float) -> tuple[int, int] | None:
        """The sequence of an assignment to hand out now, and for which time."""
        for message in self._server.after(self._position):
            if matches(self._filter, message.subject):
                self.held[message.seq] = Held(0.0, 0)
        self._position = self._server.seq
        due = next((seq for seq, held in self.held.items() if held.again_at <= now), None)
        if due is None or due not in self._server.messages:
            self.held.pop(due or 0, None)
            return None
        held = self.held[due]
        held.again_at, held.delivered = now + ACK_WAIT_S, held.delivered + 1
        return due, held.delivered


class VirtualWork:
    """Hands an instance what it has room for, to the real worker's handler."""

    def __init__(self, queue: WorkQueue, node: Any) -> None:
        self._queue = queue
        self._node = node

    def pull(self) -> None:
        """As many as there is room for."""
        node, work = self._node, self._node.worker._work
        if node.client.cut or not node.client.is_connected:
            return
        while (
            self._queue.waiting(node.world.loop.time())
            and work.running < node.tasks.capacity()
            and (found := self._queue.next(node.world.loop.time()))
        ):
            work.take(self._delivery(*found), node)

    def _delivery(self, seq: int, delivered: int) -> Delivery:
        message = self._node.world.server.messages[seq]
        handle: Any = Handle(self._queue, self._node, seq)
        handle.headers, handle.data = message.headers, message.data
        return Delivery(message.entry, delivered, 0, "work", handle)


class Handle(SimpleNamespace):
    """What a delivery is settled by; its words to the server may be lost on the way."""

    def __init__(self, queue: WorkQueue, node: Any, seq: int) -> None:
        super().__init__()
        self.queue = queue
        self.node = node
        self.seq = seq

    def _heard(self) -> bool:
        client = self.node.client
        return client.is_connected and not client.cut and self.node.world.network.fate().out_s != () and self.seq in self.queue.held

    async def ack(self) -> None:
        if self._heard():
            del self.queue.held[self.seq]

    async def term(self) -> None:
        await self.ack()

    async def nak(self, delay: float = 0.0) -> None:
        if self._heard():
            self.queue.held[self.seq].again_at = self.node.world.loop.time() + delay

    async def in_progress(self) -> None:
        if self._heard():
            self.queue.held[self.seq].again_at = self.node.world.loop.time() + ACK_WAIT_S
