"""From a path to its handler: method, bounds, decoding, idempotency, errors. Every fault becomes a problem document here."""

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from starlette.types import Receive, Scope, Send

from bus.errors import TITLES, CerebroError, Unavailable, bad_request, refusal
from gateway import decoding
from gateway.call import Answer, Call, Gate, Ids, problem
from gateway.exchange import ClientGoneError, Exchange
from gateway.idempotency import KEY, FirstReplies, fingerprint, key_of
from gateway.identity.guard import Caller
from gateway.route import Area, Route
from schemas.memory import ACTIONS_MAX
from schemas.problem import Problem

log = logging.getLogger("cerebro.gateway")

LONG_BYTES = 64 * 1024
"""Decoding a body up to this size takes less than a millisecond. 64 KiB."""
CHARSETS = {"", "utf-8", "utf8"}


class PathDoor:
    """The ASGI application of one path: all its methods."""

    def __init__(self, gate: Gate, replies: FirstReplies, routes: Iterable[Route]) -> None:
        self._gate = gate
        self._replies = replies
        self._routes = {route.method: route for route in routes}
        self._template = next(iter(self._routes.values())).path
        self._allow = ", ".join(sorted({*self._routes, "OPTIONS"} | ({"HEAD"} if "GET" in self._routes else set())))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        started = time.perf_counter()
        answer = await self._answer(exchange)
        try:
            if answer.parts is not None:
                await self._stream(exchange, answer)
            else:
                await exchange.answer(answer)
        finally:
            self._gate.metrics.request(exchange.method, self._template, answer.status, time.perf_counter() - started)

    async def _stream(self, exchange: Exchange, answer: Answer) -> None:
        route = self._route(exchange.method)
        assert route is not None, "a stream answers a route"
        shut_out = self._gate.guard.shut_out(route.needs, exchange.header("authorization"))
        self._gate.streams += 1
        try:
            await exchange.stream(answer, self._gate.settings.stream_stall_s, shut_out)
        except TimeoutError:
            log.info("an event stream was ended: its reader took nothing for %g s", self._gate.settings.stream_stall_s)
        finally:
            self._gate.streams -= 1

    def _route(self, method: str) -> Route | None:
        return self._routes.get("GET" if method == "HEAD" else method)

    async def _answer(self, exchange: Exchange) -> Answer:
        method = exchange.method
        if method == "OPTIONS" and method not in self._routes:
            return Answer(status=204, headers={"allow": self._allow})
        route = self._route(method)
        if route is None:
            return problem(refusal(405, f"{self._template} takes {self._allow}"), {"allow": self._allow})
        tell = route.tell or problem
        try:
            caller = await self._gate.guard.admit(route.needs, exchange.header("authorization"), exchange.address)
            with self._room(route):
                return await self._run(route, exchange, caller)
        except CerebroError as e:
            return tell(e)
        except ClientGoneError:
            return tell(bad_request("the request ended before its body did"))
        except Exception:  # the last line of defence: a fault of ours is logged with its trace and told without it
            log.exception("%s %s failed", method, self._template)
            return tell(Problem(title=TITLES[500], status=500, detail="an internal error; it has been logged"))

    @contextmanager
    def _room(self, route: Route) -> Iterator[None]:
        """Bound the requests worked on at once; probes and event streams are not counted, so that they answer under load."""
        if route.area is Area.OPERATIONS:
            yield
            return
        if self._gate.requests >= self._gate.settings.requests_max:
            raise Unavailable(f"{self._gate.requests} requests are being worked on; no more are taken at once")
        self._gate.requests += 1
        try:
            yield
        finally:
            self._gate.requests -= 1

    async def _run(self, route: Route, exchange: Exchange, caller: Caller) -> Answer:
        path_status = 400 if route.method == "PUT" else 404  # what cannot be an id names nothing that is there
        path = decoding.decode_path(exchange.scope.get("path_params", {}), route.path_type, path_status)
        raw_query: bytes = exchange.scope["query_string"]
        query = raw_query if route.undecoded else decoding.decode_query(raw_query, route.query)
        raw, body = await self._body(route, exchange)
        caller.may_write(route, body)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in exchange.scope["headers"]}

        async def handle(ids: Ids) -> Answer:
            try:
                return await route.handler(Call(self._gate, body, query, path, ids, headers))
            except CerebroError as e:
                return (route.tell or problem)(e)

        key = key_of(exchange.header_values(KEY)) if route.method == "POST" else None
        if key is None:
            return await handle(Ids())
        scope = exchange.scope
        return await self._replies.once(
            f"{caller.name}\x1f{key}" if caller.name else key, fingerprint(route.method, scope["path"], scope["query_string"], raw), handle
        )

    async def _body(self, route: Route, exchange: Exchange) -> tuple[bytes, Any]:
        if route.body is None:
            return await self._no_body(exchange), None
        settings = self._gate.settings
        bytes_max = settings.batch_bytes_max if route.batch else settings.body_bytes_max
        length = exchange.header("content-length")
        media = self._media(route, exchange, oversized=length is not None and length.isdigit() and int(length) > bytes_max)
        raw = await exchange.body(bytes_max, settings.body_s_max)
        if route.undecoded:
            return raw, raw
        if media.endswith("ndjson"):
            body = decoding.decode_lines(raw, route.body.__args__[0], ACTIONS_MAX)
        else:
            body = decoding.decode_body(raw, route.body, hidden=route.hidden)
        if len(raw) > LONG_BYTES:
            await asyncio.sleep(0)  # decoding 8 MiB takes a while: let others have their turn before the handler
        return raw, body

    async def _no_body(self, exchange: Exchange) -> bytes:
        """A body where none is meant is read away within the bounds, so that the connection can go on."""
        return await exchange.body(self._gate.settings.body_bytes_max, self._gate.settings.body_s_max)

    @staticmethod
    def _media(route: Route, exchange: Exchange, *, oversized: bool) -> str:
        """The media type of the body. Raises 415 for another than JSON, which also keeps browsers of other sites from posting."""
        media, _, parameters = (exchange.header("content-type") or "").partition(";")
        media = media.strip().lower()
        name, _, charset = parameters.strip().lower().partition("=")
        taken = ["application/json", *(["application/x-ndjson", "application/ndjson"] if route.ndjson else [])]
        good_charset = name.strip() != "charset" or charset.strip(' "') in CHARSETS
        if not oversized and (media not in taken or not good_charset or exchange.header("content-encoding") not in {None, "identity"}):
            raise refusal(415, f"send {' or '.join(taken[:2])} in UTF-8, not encoded further")
        return media
