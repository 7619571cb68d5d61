"""The connection to NATS: kept for ever, with what an agent needs of it: put on the log, ask, hear."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Self, TypeVar

import msgspec
import nats
import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext

from cerebro_agent.client import LastingClient
from cerebro_agent.errors import NotAdmitted, Refused, TooLarge, Unavailable

log = logging.getLogger("cerebro_agent")

CONNECT_PAUSE_S = 1.0
"""Pause before the next try to reach a server that is away."""
PUBLISH_TRY_S = 2.0
"""Longest wait for one acknowledgement."""
PUBLISH_S = 30.0
"""Longest time over which a message is published again, under the same id, until it is acknowledged."""
RETRY_PAUSE_S = 0.2
ASK_S = 5.0
"""Longest wait for an answer of the mesh."""
HEARD_LEN_MAX = 10_000
"""Most messages of one kind that wait in the client; more are dropped, and the mesh is asked for what was missed."""
NAMESPACE = uuid.UUID("5a3e3f0e-6f3c-5a0e-9f52-2b0c51d7f4a1")
"""Namespace of the ids that are derived."""
MESSAGE_TOO_LARGE = 10054
NOT_ADMITTED = ("authorization violation", "authentication revoked", "authentication expired")
"""What the server says, in lower case, to whom it does not let in (any more)."""
HANG_UP_S = 0.2
"""How long a client that was not let in has to close its socket before it is stopped from trying again."""

T = TypeVar("T")


def derived(*parts: object) -> str:
    """The same id for the same parts: what is published twice under it stands in the log once."""
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(str(p) for p in parts)))


class Connection:
    """An open connection. `closed` is set when it has ended for good, by a `refusal` or not; `again` are called after each reconnection."""

    def __init__(self, nc: LastingClient) -> None:
        self.nc = nc
        self.js = nc.jetstream()
        self.closed = asyncio.Event()
        self.refusal: NotAdmitted | None = None
        self.again: list[Callable[[], Awaitable[None]]] = []

    @classmethod
    async def open(cls, url: str, nkey_seed: str | None, name: str, inbox: str) -> Self:
        """Connect, waiting for as long as it takes; from then on the client reconnects by itself, for ever. Answers come to `inbox`.

        Raises `NotAdmitted` where the server does not let this identity in.
        """
        while True:
            self = cls(LastingClient())
            try:
                await self._connect(url, nkey_seed, name, inbox)
            except (OSError, nats.errors.Error, TimeoutError) as e:
                log.warning("no mesh at %s yet: %s", url, str(e) or type(e).__name__)
                await asyncio.sleep(CONNECT_PAUSE_S)
            else:
                return self

    async def _connect(self, url: str, nkey_seed: str | None, name: str, inbox: str) -> None:
        """Connect, unless the server says that trying again does not help: by itself the client would try for ever."""
        connecting = asyncio.create_task(
            self.nc.connect(
                servers=url.split(","),
                name=name,
                nkeys_seed=nkey_seed,
                inbox_prefix=inbox,
                max_reconnect_attempts=-1,
                reconnect_time_wait=1,
                ping_interval=5,
                max_outstanding_pings=2,
                error_cb=self._heard,
                reconnected_cb=self._reconnected,
                closed_cb=self._closed,
            ),
            name="connect to NATS",
        )
        over = asyncio.create_task(self.closed.wait(), name="hear that we are not let in")
        try:
            await asyncio.wait({connecting, over}, return_when=asyncio.FIRST_COMPLETED)
            if self.refusal is not None:
                await asyncio.wait({connecting}, timeout=HANG_UP_S)
                raise self.refusal
            await connecting
        finally:
            over.cancel()
            connecting.cancel()
            await asyncio.gather(connecting, over, return_exceptions=True)  # what the loser raised is not news

    async def _heard(self, error: Exception) -> None:
        """An error of the client; that it is not let in (any more) is the end."""
        text = str(error) or type(error).__name__
        if any(words in text.lower() for words in NOT_ADMITTED):
            self.refusal = NotAdmitted(f"the server does not admit this identity: {text.removeprefix('nats: ')}")
            self.closed.set()
        else:
            log.warning("NATS: %s", text)

    async def _reconnected(self) -> None:
        log.info("connected again")
        for call in list(self.again):
            await call()

    async def _closed(self) -> None:
        self.closed.set()

    async def close(self) -> None:
        """Flush and disconnect; quiet where the server is away."""
        try:
            await self.nc.drain() if self.nc.is_connected else await self.nc.close()
        except (nats.errors.Error, OSError, TimeoutError) as e:
            log.info("closed without a server: %s", e)

    async def put(self, subject: str, body: Any, msg_id: str | None = None) -> int:
        """Put a message on the log; returned means on disk, at that place. Raises `Unavailable`, `TooLarge`.

        A try that timed out may have happened, so it is repeated under the same id, which the server knows.
        """
        data, headers = msgspec.json.encode(body), {"Nats-Msg-Id": msg_id or str(uuid.uuid4())}
        if len(data) > self.nc.max_payload:
            raise TooLarge(f"{len(data)} bytes; the server takes {self.nc.max_payload}")
        deadline = asyncio.get_running_loop().time() + PUBLISH_S
        while True:
            try:
                return (await self.js.publish(subject, data, timeout=PUBLISH_TRY_S, headers=headers)).seq
            except nats.js.errors.APIError as e:
                if e.err_code == MESSAGE_TOO_LARGE:
                    raise TooLarge(str(e.description)) from e
                reason: Exception = e
            except (nats.errors.Error, OSError, TimeoutError) as e:
                reason = e
            if asyncio.get_running_loop().time() > deadline:
                raise Unavailable(f"the log did not acknowledge: {str(reason) or type(reason).__name__}") from reason
            await asyncio.sleep(RETRY_PAUSE_S)

    async def say(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> None:
        """Publish without waiting for an acknowledgement; nothing is said while the server is away."""
        if self.nc.is_connected:
            await self.nc.publish(subject, data, headers=headers)

    async def ask(self, subject: str, body: Any, reply: type[T], timeout_s: float = ASK_S) -> T:
        """Ask the mesh and decode its answer as `reply`. Raises `Unavailable`, `Refused`."""
        try:
            answer = await self.nc.request(subject, msgspec.json.encode(body), timeout=timeout_s)
        except (nats.errors.Error, OSError, TimeoutError) as e:
            raise Unavailable(f"nobody answers {subject}: {str(e) or type(e).__name__}") from e
        if answer.headers and (status := answer.headers.get("Nats-Service-Error-Code")):
            raise Refused(int(status), answer.headers.get("Nats-Service-Error", ""))
        return msgspec.json.decode(answer.data, type=reply)

    async def hear(self, subject: str, heard: Callable[[Msg], Awaitable[None]]) -> Subscription:
        """Call `heard` for each message from now on."""
        return await self.nc.subscribe(subject, cb=heard, pending_msgs_limit=HEARD_LEN_MAX)

    async def deafen(self, sub: Subscription | JetStreamContext.PullSubscription) -> None:
        """Hear no more of it; where the connection is gone there is nothing left to hear."""
        try:
            await sub.unsubscribe()
        except (nats.errors.Error, OSError, ValueError) as e:
            log.debug("unsubscribing: %s", str(e) or type(e).__name__)
