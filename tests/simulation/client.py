"""A connection to the virtual server, as `bus.connection.Bus` uses one: the real `Bus` runs on it, unchanged.

Requests and publishes meet the fates that the network draws. A client is `away` while it knows that it has no server, `cut`
while its messages vanish and it does not know; `dead` is for good. While its process stands still, what it says waits.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import nats.errors

from bus import subjects
from bus.connection import Bus, Outgoing, Stored
from bus.settings import BusSettings
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import Network
from tests.simulation.server import BATCH, INCARNATION, Message, VirtualServer

MAX_PAYLOAD = 1_048_576
NEXT, INFO, CREATE = "$JS.API.CONSUMER.MSG.NEXT.", "$JS.API.STREAM.INFO.", "$JS.API.CONSUMER.CREATE."
GET = "$JS.API.STREAM.MSG.GET."
SETTINGS = BusSettings()
STORED = tuple(s[:-1] for s in (subjects.PROTOCOLS, *subjects.DEAD_SUBJECTS, *subjects.TIMER_SUBJECTS))
Reply = SimpleNamespace


class VirtualClient:
    """What nats-py's client is to `Bus`. `presence`: called with each put into the presence bucket."""

    max_payload = MAX_PAYLOAD

    def __init__(self, loop: VirtualLoop, server: VirtualServer, network: Network, presence: Callable[[str, bytes], None]) -> None:
        self._loop = loop
        self._server = server
        self._network = network
        self._presence = presence
        self._inboxes: dict[str, VirtualSubscription] = {}
        self._consumers: dict[str, list[Message]] = {}
        self.stands_still_until = 0.0
        self.away = False
        self.cut = False
        self.dead = False

    def jetstream(self) -> None:
        """Nothing of the old JetStream context is used on the way of a protocol."""

    @property
    def is_connected(self) -> bool:
        return not (self.away or self.dead)

    @property
    def is_closed(self) -> bool:
        return self.dead

    # publishing

    async def publish(self, subject: str, data: bytes, reply: str = "", headers: dict[str, str] | None = None) -> None:
        """Without an answer: a beat, a message of a batch, the standing request of a reader."""
        if not self.is_connected:
            raise nats.errors.ConnectionClosedError
        if self.cut:
            return
        if subject.startswith(NEXT):
            self._loop.call_later(self._network.delay_s(), self._serve, subject.rpartition(".")[2], reply)
        elif headers and BATCH in headers:
            if not self._network.torn():
                self._server.publish(subject, data, headers)
        elif self._loop.time() >= self.stands_still_until:
            self._presence(subject, data)

    async def flush(self) -> None:
        """What was published is on its way already."""

    async def request(self, subject: str, data: bytes, timeout: float, headers: dict[str, str] | None = None) -> Any:
        """With an answer: a publish to the log, or a call of the JetStream API."""
        if not self.is_connected:
            raise nats.errors.ConnectionClosedError
        if subjects.find(subject) is not None and not subject.startswith(STORED):
            raise nats.errors.NoRespondersError
        answer = self._loop.create_future()
        fate = self._network.fate()
        if not self.cut:
            for out_s in fate.out_s:
                at_s = max(self._loop.time(), self.stands_still_until) + out_s
                self._loop.call_at(at_s, self._arrive, (subject, data, headers or {}), fate.back_s, answer)
        late = self._loop.call_later(timeout, _too_late, answer)
        try:
            return await answer
        finally:
            late.cancel()

    def _arrive(self, wire: tuple[str, bytes, dict[str, str]], back_s: float | None, answer: asyncio.Future[Any]) -> None:
        """At the log. What was sent arrives though its sender has died since; the answer does not."""
        subject, data, headers = wire
        told = self._api(subject, data) if subject.startswith("$JS") else self._server.publish(subject, data, headers)
        if back_s is not None and told is not None and not (self.cut or self.dead):
            reply = Reply(data=msgspec.json.encode(told), headers=None)
            self._loop.call_later(back_s, lambda: answer.done() or answer.set_result(reply))

    def _api(self, subject: str, data: bytes) -> dict[str, Any]:
        if subject.startswith(INFO):
            return {"config": {"metadata": {"incarnation": INCARNATION}}, "created": ""}
        if subject.startswith(GET):
            found = self._server.messages.get(msgspec.json.decode(data)["seq"])
            return {"message": {"subject": found.subject}} if found else {"error": {}}
        assert subject.startswith(CREATE), subject
        config = msgspec.json.decode(data)["config"]
        name = f"reader-{len(self._consumers)}"
        kept = subject.endswith(subjects.LESSONS)
        self._consumers[name] = (
            self._server.kept() if kept else self._server.matching(config["filter_subjects"], config["opt_start_seq"] - 1)
        )
        return {"name": name, "num_pending": len(self._consumers[name])}

    # reading what stands in the log

    def new_inbox(self) -> str:
        return f"inbox-{len(self._inboxes)}"

    async def subscribe(
        self, subject: str, cb: Callable[[Any], Coroutine[Any, Any, None]], pending_msgs_limit: int = 0
    ) -> "VirtualSubscription":
        self._inboxes[subject] = VirtualSubscription(self._loop, subject, cb)
        return self._inboxes[subject]

    def _serve(self, consumer: str, inbox: str) -> None:
        waiting, self._consumers[consumer] = self._consumers[consumer], []
        for i, message in enumerate(waiting, 1):
            self._inboxes[inbox].put(handed(message, i, 1, len(waiting) - i))


class WatchedBus(Bus):
    """The real bus; `acknowledged` is told of everything that it was told is on disk."""

    def __init__(self, acknowledged: Callable[[Outgoing, Stored], None], client: VirtualClient, clock: Callable[[], float]) -> None:
        super().__init__(SETTINGS, None, client, clock)  # type: ignore[arg-type]
        self._acknowledged = acknowledged

    async def put(self, out: Outgoing) -> Stored:
        stored = await super().put(out)
        self._acknowledged(out, stored)
        return stored

    async def publish_batch(self, batch: Sequence[Outgoing]) -> list[Stored]:
        stored = await super().publish_batch(batch)
        for out, each in zip(batch, stored, strict=True):
            self._acknowledged(out, each)
        return stored


class VirtualSubscription:
    """Hands each message to its callback, in the order in which they come."""

    def __init__(self, loop: VirtualLoop, subject: str, callback: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
        self._loop = loop
        self._callback = callback
        self._under_way: set[asyncio.Task[None]] = set()
        self._ended = False
        self.subject = subject

    def put(self, msg: Any) -> None:
        if self._ended:
            return
        task = self._loop.create_task(self._callback(msg), name="a message is handed over")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def unsubscribe(self) -> None:
        self._ended = True


def _too_late(answer: asyncio.Future[Any]) -> None:
    if not answer.done():
        answer.set_exception(nats.errors.TimeoutError())


def handed(message: Message, consumer_seq: int, delivered: int, pending: int) -> Any:
    """A message as a consumer hands it over."""
    sequence = SimpleNamespace(consumer=consumer_seq, stream=message.seq)
    metadata = SimpleNamespace(
        sequence=sequence, stream=message.stream, num_delivered=delivered, num_pending=pending, timestamp=message.time
    )
    return SimpleNamespace(subject=message.subject, headers=message.headers, data=message.data, reply="ack", metadata=metadata)
