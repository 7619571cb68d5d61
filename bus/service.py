"""Questions answered: a NATS micro service whose endpoints are rows of the table, each request a bounded task of its own.

A caller always hears something: the reply, or `Nats-Service-Error*` headers with a problem document.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import nats.errors
from nats import micro
from nats.micro.request import Request
from nats.micro.service import Service as MicroService

from bus import entries, telemetry
from bus.connection import Bus
from bus.errors import CerebroError, Refused, TooLarge, Unavailable, bad_request
from bus.subjects import Subject
from schemas.problem import Problem

log = logging.getLogger("cerebro.bus")

VERSION = "1.0.0"
CONCURRENCY_MAX = 32
"""Most requests of one kind that one instance works on at a time."""
WAITING_MAX = 256
"""Most requests of one kind that wait for their turn; one more is told to come back later."""
WITHDRAW_S = 3.0
"""Longest wait for the server to have sent what is on its way, when a service stops."""

Handler = Callable[[Any], Awaitable[Any]]


class Service:
    """`start`, then it answers until `stop`. Handlers take the decoded body and return the reply Struct."""

    def __init__(self, bus: Bus, name: str, description: str) -> None:
        self._bus = bus
        self._name = bus.stream(name)
        self._description = description
        self._rows: list[tuple[Subject, Handler, int]] = []
        self._service: MicroService | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def answer(self, row: Subject, handler: Handler, concurrency_max: int = CONCURRENCY_MAX) -> None:
        """Register `handler` for the questions of `row`, before `start`."""
        self._rows.append((row, handler, concurrency_max))

    async def start(self) -> None:
        """Be found by `nats micro list`, and answer. Raises `Unavailable`."""
        try:
            self._service = await micro.add_service(self._bus.nc, name=self._name, version=VERSION, description=self._description)
            for row, handler, concurrency_max in self._rows:
                endpoint = _Endpoint(row, handler, concurrency_max, self._tasks)
                await self._service.add_endpoint(
                    name=row.name.replace(".", "-"), subject=self._bus.wire(row.subject()), handler=endpoint.accept
                )
            await self._bus.nc.flush()
        except (nats.errors.Error, OSError) as e:
            raise Unavailable(f"NATS: {e}") from e

    async def stop(self) -> None:
        """Take no more questions; who asked one that is under way, or on its way, is told so."""
        if self._service is not None and self._bus.connected:
            await withdraw(self._service)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def withdraw(service: MicroService) -> None:
    """Be found no more, and take in what is on its way, which nats-py's own way of stopping drops; its sender would hear nothing."""
    endpoints, service._endpoints = service._endpoints, []  # noqa: SLF001 - they are stopped here
    try:
        async with asyncio.timeout(WITHDRAW_S):
            for endpoint in endpoints:
                if endpoint._subscription is not None:  # noqa: SLF001
                    await endpoint._subscription.drain()  # noqa: SLF001
            await service.stop()
    except (nats.errors.Error, OSError, TimeoutError) as e:
        log.info("a service ended without a last word to the server: %s", str(e) or type(e).__name__)


class _Endpoint:
    """One row's questions. nats-py calls back one at a time, so each request becomes a task, held by `tasks`."""

    def __init__(self, row: Subject, handler: Handler, concurrency_max: int, tasks: set[asyncio.Task[None]]) -> None:
        self._row = row
        self._handler = handler
        self._turns = asyncio.Semaphore(concurrency_max)
        self._tasks = tasks
        self._waiting = 0
        self._waiting_max = max(WAITING_MAX, concurrency_max)

    async def accept(self, request: Request) -> None:
        """Give the request a task of its own, or tell its sender that there are too many."""
        if self._waiting >= self._waiting_max:
            await _reply_problem(request, Unavailable(f"too many {self._row.name} requests at once").problem())
            return
        self._waiting += 1
        task = asyncio.create_task(self._serve(request), name=f"answer {self._row.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, request: Request) -> None:
        try:
            async with self._turns:
                with telemetry.span(self._row.name, request.headers):
                    reply = await self._outcome(request)
        except asyncio.CancelledError:
            await _reply_problem(request, Unavailable(f"who answers {self._row.name} stops; ask again").problem())
            raise
        finally:
            self._waiting -= 1
        if isinstance(reply, Problem):
            await _reply_problem(request, reply)
        else:
            await _respond(request, reply, {})

    async def _outcome(self, request: Request) -> bytes | Problem:
        try:
            return msgspec.json.encode(await self._handler(self._decode(request)))
        except CerebroError as e:
            return e.problem()
        except Exception as e:
            log.exception("answering %s failed", self._row.name)
            return CerebroError(f"{self._row.name} failed: {type(e).__name__}").problem()

    def _decode(self, request: Request) -> Any:
        try:
            return entries.decode(self._row.body, request.data)
        except entries.BAD_BODY as e:
            raise body_refused(e) from e


def body_refused(error: Exception) -> Refused:
    """The refusal of a body that did not decode, with the path msgspec names."""
    text = str(error) or type(error).__name__
    message, _, path = text.partition(" - at `")
    return bad_request(message, path.rstrip("`") or "$")


async def _reply_problem(request: Request, problem: Problem) -> None:
    headers = {"Nats-Service-Error-Code": str(problem.status), "Nats-Service-Error": header_text(problem.detail or problem.title)}
    await _respond(request, msgspec.json.encode(problem), headers)


def header_text(text: str) -> str:
    """Header values are one line of visible ASCII."""
    return "".join(c if " " <= c <= "~" else " " for c in text)[:500]


async def _respond(request: Request, data: bytes, headers: dict[str, str]) -> None:
    try:
        await request.respond(data, headers or None)
    except nats.errors.MaxPayloadError:
        await _reply_problem(request, TooLarge(f"the answer has {len(data)} bytes, more than the server takes; ask for less").problem())
    except ValueError:
        log.info("a question without a reply subject was answered to nobody")
    except (nats.errors.Error, OSError) as e:
        log.warning("an answer could not be sent: %s", e)
