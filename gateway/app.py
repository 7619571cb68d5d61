"""The ASGI application: the route table behind one router."""

from itertools import groupby

import msgspec
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route as Path
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from bus.asyncapi import document as asyncapi
from bus.errors import not_found
from gateway import docs, openapi
from gateway.call import Answer, Gate, problem
from gateway.dispatch import PathDoor
from gateway.exchange import Exchange
from gateway.idempotency import FirstReplies
from gateway.routes import ROUTES
from gateway.version import VERSION

METHODS = ["GET", "POST", "PUT", "DELETE"]
HEADERS = ["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"]
EXPOSED = ["Location", "Retry-After", "Idempotent-Replayed"]
"""What a page of a listed origin may ask with, and read of the answer."""
UNMATCHED = "unmatched"
"""The endpoint under which requests to unknown paths are counted, so that their number of series is bounded."""


def application(gate: Gate) -> ASGIApp:
    """Everything of the route table. Paths are matched as they were sent, so that an encoded `/` may stand within an id."""
    gate.documents = {
        "openapi.json": Answer(content=msgspec.json.encode(openapi.document(ROUTES))),
        "asyncapi.json": Answer(content=msgspec.json.encode(asyncapi(VERSION))),
        **docs.pages(ROUTES),
    }
    replies = FirstReplies(gate)
    by_path = sorted(ROUTES, key=lambda r: r.path)
    doors = {path: PathDoor(gate, replies, routes) for path, routes in groupby(by_path, key=lambda r: r.path)}
    in_order = dict.fromkeys(r.path for r in ROUTES)  # the table's order: `/recent` stands before `/{episode_id}`
    also = [Path(path, doors[route.path]) for route in ROUTES for path in route.also]
    router = Router([*(Path(path, doors[path]) for path in in_order), *also], redirect_slashes=False, default=_Unmatched(gate))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await router({**scope, "path": scope["raw_path"].decode("ascii", "replace")}, receive, send)

    if not gate.settings.cors_origins:
        return app
    return CORSMiddleware(
        app, allow_origins=gate.settings.cors_origins, allow_methods=METHODS, allow_headers=HEADERS, expose_headers=EXPOSED
    )


class _Unmatched:
    """Whatever is not in the table."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        answer = problem(not_found(f"there is no {scope['path'][:200]}; see /docs"))
        await exchange.answer(answer)
        self._gate.metrics.request(exchange.method, UNMATCHED, answer.status, 0.0)
