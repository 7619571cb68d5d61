"""What a handler is given, and what it gives back."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from bus.connection import Bus
from bus.entries import VIA
from bus.errors import CerebroError, TooManyRequests, Unavailable
from bus.ids import derived, uuid7
from bus.subjects import Subject
from gateway.a2a.settings import A2ASettings
from gateway.identity.guard import Guard
from gateway.identity.keyring import Keyring
from gateway.metrics import Metrics
from gateway.settings import GatewaySettings
from schemas.problem import Problem

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
GATEWAY = "gateway"
"""The name under which the gateway itself speaks."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What goes back: a whole body (`content`), or a stream of `parts`."""

    status: int = 200
    content: bytes = b""
    media: str = JSON
    headers: dict[str, str] = {}
    parts: AsyncGenerator[bytes, None] | None = None


def reply(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """An answer whose body is the JSON of a reply Struct."""
    return Answer(status=status, content=msgspec.json.encode(body), headers=headers or {})


def problem(error: CerebroError | Problem, headers: dict[str, str] | None = None) -> Answer:
    """An answer whose body is an RFC 9457 problem document."""
    document = error if isinstance(error, Problem) else error.problem()
    headers = {**(headers or {}), **what_next(error, document.status)}
    told = {"type": document.type, **msgspec.to_builtins(document), "detail": document.detail}
    return Answer(status=document.status, content=msgspec.json.encode(told), media=PROBLEM_JSON, headers=headers)


def what_next(error: CerebroError | Problem, status: int) -> dict[str, str]:
    """The headers of an error that tell its caller what to do: how to say who they are, or when to try again."""
    if status == 401:
        return {"www-authenticate": "Bearer"}
    if status not in {429, 503}:
        return {}
    after = error.retry_after_s if isinstance(error, Unavailable | TooManyRequests) else Unavailable.retry_after_s
    return {"retry-after": str(max(1, round(after)))}


class Ids:
    """Where a request's new ids come from: time-ordered, or derived from its Idempotency-Key so that a second run makes the same."""

    def __init__(self, seed: str | None = None) -> None:
        self._seed = seed
        self._count = 0

    def new(self) -> str:
        if self._seed is None:
            return uuid7()
        self._count += 1
        return derived("idempotency", self._seed, self._count)


class Gate:
    """The parts that every request shares.

    `bus` is there once NATS has been reached; `closing` is set when the gateway stops; `documents` are the answers that
    never change, by name. `webhooks_changed` is set when there is a webhook more or less, `webhooks_open` are served here. `speaker`
    is the name under which this door itself speaks.
    """

    def __init__(self, settings: GatewaySettings, metrics: Metrics, a2a: A2ASettings, speaker: str = GATEWAY) -> None:
        self.settings = settings
        self.a2a = a2a
        self.metrics = metrics
        self.speaker = speaker
        self.closing = asyncio.Event()
        self.started = time.monotonic()
        self.requests = 0
        self.streams = 0
        self.webhooks_changed = asyncio.Event()
        self.webhooks_open = 0
        self.documents: dict[str, Answer] = {}
        self.guard = Guard(settings, Keyring(lambda: self.bus, settings.key_cache_s))
        self._bus: Bus | None = None
        self._card = ("", 0.0)

    def card_since(self, tag: str) -> float:
        """Since when the agent card has been as it is, as far as this gateway knows; in seconds since 1970."""
        if self._card[0] != tag:
            self._card = (tag, time.time())
        return self._card[1]

    @property
    def bus(self) -> Bus:
        if self._bus is None:
            raise Unavailable("NATS is away")
        return self._bus

    def connect(self, bus: Bus) -> None:
        self._bus = bus

    async def disconnect(self) -> None:
        await self.guard.close()
        if self._bus is not None:
            await self._bus.close()


class Call:
    """One request, decoded: `body`, `query` and `path` are Structs of its route; body and query bytes where it is `undecoded`."""

    def __init__(self, gate: Gate, body: Any, query: Any, path: Any, ids: Ids, headers: dict[str, str]) -> None:
        self.gate = gate
        self.body = body
        self.query = query
        self.path = path
        self.ids = ids
        self.headers = headers

    @property
    def settings(self) -> GatewaySettings:
        return self.gate.settings

    @property
    def a2a(self) -> A2ASettings:
        return self.gate.a2a

    @property
    def bus(self) -> Bus:
        return self.gate.bus

    @property
    def via(self) -> dict[str, str]:
        """The header that says that the gateway published for a caller of its own; a door that speaks for itself has none."""
        return {VIA: GATEWAY} if self.gate.speaker == GATEWAY else {}

    async def ask(self, row: Subject, body: Any, timeout_s: float | None = None) -> Any:
        """Ask an actor within the time of the settings."""
        return await self.bus.ask(row, body, timeout_s=timeout_s or self.settings.ask_s)
