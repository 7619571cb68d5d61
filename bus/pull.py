"""The pull: messages of one JetStream consumer as they come, without waiting for a batch to fill, surviving what breaks.

One standing request asks for many messages; the server sends each at once and a heartbeat when there is none.
Silence means that the consumer, the server or the connection is gone: then the caller's `make` is asked for the
consumer again. Nothing here knows what a message means.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from bus.cancelling import heed
from bus.connection import Bus
from bus.errors import CerebroError, Forbidden, Unavailable

log = logging.getLogger("cerebro.bus")

EXPIRES_S = 30.0
"""How long the server keeps one standing request."""
HEARTBEAT_S = 1.0
"""How often the server says that it is there while it has nothing to send."""
SILENCE_S = 2.5
"""Longest silence before the consumer is made anew."""
RECOVER_PAUSE_S = 0.25
"""Pause before the next try after a failed recovery."""
PENDING_LEN_MAX = 65_536
"""Most messages the client holds between the server and the reader; never reached, as a request asks for less."""

HEARTBEAT = "100"
NS = 1_000_000_000


class Pull:
    """Messages of a consumer that `make` creates (or finds); `make` returns its name on the server."""

    def __init__(self, bus: Bus, stream: str, make: Callable[[], Awaitable[str]], batch_max: int) -> None:
        self._bus = bus
        self._stream = bus.stream(stream)
        self._make = make
        self._batch_max = batch_max

    async def batches(self) -> AsyncGenerator[list[Msg] | None, None]:
        """Yield what has arrived, at least one message at a time; None each time the consumer was made (anew)."""
        while True:
            sub = None
            try:
                consumer = await self._make()
                inbox = _Inbox()
                sub = await self._bus.nc.subscribe(self._bus.nc.new_inbox(), cb=inbox.put, pending_msgs_limit=PENDING_LEN_MAX)
                yield None
                async for batch in self._one_consumer(sub, inbox, consumer):
                    yield batch
            except Forbidden:
                raise  # asking again does not help
            except (CerebroError, nats.errors.Error, OSError, _EndedError) as e:
                if self._bus.nc.is_closed:  # for good
                    raise Unavailable("the connection was closed") from e
                log.debug("consumer of %s is made anew: %s", self._stream, e)
                await asyncio.sleep(RECOVER_PAUSE_S)
            finally:
                if sub is not None:
                    await _unsubscribe(sub)

    async def _one_consumer(self, sub: Subscription, inbox: "_Inbox", consumer: str) -> AsyncIterator[list[Msg]]:
        while True:
            await self._ask(sub, consumer)
            wanted = self._batch_max
            while wanted > 0:
                batch, ended = _sorted(await inbox.take())
                heed()  # who read the last batch may have lost it
                wanted -= len(batch)
                if batch:
                    yield batch
                if ended:
                    break

    async def _ask(self, sub: Subscription, consumer: str) -> None:
        request = {"batch": self._batch_max, "expires": int(EXPIRES_S * NS), "idle_heartbeat": int(HEARTBEAT_S * NS)}
        if not self._bus.connected:
            raise Unavailable("NATS is away")
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{consumer}"
        await self._bus.nc.publish(subject, msgspec.json.encode(request), reply=sub.subject)


class _Inbox:
    """What has arrived and was not taken yet; never more than a standing request asks for. `Subscription.next_msg` would make two
    tasks for each message.
    """

    def __init__(self) -> None:
        self._messages: list[Msg] = []
        self._some = asyncio.Event()

    async def put(self, msg: Msg) -> None:
        """The subscription's callback."""
        self._messages.append(msg)
        self._some.set()

    async def take(self) -> list[Msg]:
        """Everything that is there, waiting for the first. Raises _EndedError when it does not come."""
        try:
            async with asyncio.timeout(SILENCE_S):
                await self._some.wait()
        except TimeoutError as e:
            raise _EndedError("silence") from e
        self._some.clear()
        taken, self._messages = self._messages, []
        return taken


def _sorted(messages: list[Msg]) -> tuple[list[Msg], bool]:
    """The real messages among these, and whether the standing request is over; heartbeats say nothing."""
    batch: list[Msg] = []
    ended = False
    for msg in messages:
        status = _status(msg)
        if status is None:
            batch.append(msg)
        elif status != HEARTBEAT:
            ended = _over(status, msg)
    return batch, ended


def _status(msg: Msg) -> str | None:
    """The status of a control message, or None for a real one."""
    headers: dict[str, Any] = msg.headers or {}
    return headers.get("Status") if not msg.data and not msg.reply else None


def _over(status: str, msg: Msg) -> bool:
    """A request that is over is asked again; anything else means that the consumer has gone."""
    text = str((msg.headers or {}).get("Description", "")).lower()
    if status in {"404", "408"} or (status == "409" and ("max" in text or "batch completed" in text)):
        return True
    raise _EndedError(f"{status} {text}")


async def _unsubscribe(sub: Subscription) -> None:
    try:
        await sub.unsubscribe()
    except (nats.errors.Error, OSError) as e:
        log.debug("unsubscribing: %s", e)


class _EndedError(Exception):
    """The consumer is not there any more."""
