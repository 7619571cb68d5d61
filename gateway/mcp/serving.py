"""MCP over stdio, for a host that starts this process itself, or over streamable HTTP, for hosts that are elsewhere."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence

import msgspec
import uvicorn
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp, Receive, Scope, Send

from bus.connection import Bus
from bus.errors import CerebroError
from bus.settings import BusSettings
from gateway import server as http_server
from gateway.a2a.settings import A2ASettings
from gateway.call import Gate, problem
from gateway.exchange import Exchange
from gateway.mcp.server import server
from gateway.metrics import Metrics
from gateway.route import Needs
from gateway.settings import GatewaySettings

log = logging.getLogger("cerebro.gateway")

CONNECT_S = 5.0
"""Longest wait for NATS at the start; later it may be away, and the tools say so."""
PATH = "/mcp"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
SESSIONS_MAX = 100
"""Most sessions of hosts over HTTP at a time."""
ENVELOPE_BYTES_MAX = 64 * 1024
"""What a request over HTTP may have beside its arguments."""


@contextlib.asynccontextmanager
async def _gate(bus: BusSettings, settings: GatewaySettings, name: str) -> AsyncIterator[Gate]:
    gate = Gate(settings, Metrics(), A2ASettings(), speaker=name)
    gate.connect(await Bus.connect(bus, name, CONNECT_S))
    try:
        yield gate
    finally:
        await gate.disconnect()


async def over_stdio(bus: BusSettings, settings: GatewaySettings, name: str) -> None:
    """Serve one host on stdin and stdout, as `name`, until it closes stdin. Raises `Unavailable` where NATS does not answer."""
    async with _gate(bus, settings, name) as gate, stdio_server() as (reading, writing):
        serving = server(gate)
        await serving.run(reading, writing, serving.create_initialization_options())


async def over_http(bus: BusSettings, settings: GatewaySettings, name: str, hosts: Sequence[str], stop: asyncio.Event) -> None:
    """Serve any number of hosts on `settings.http_host` and `http_port`, as `name`, until `stop`.

    Host and Origin of a request must name this machine's loopback, the address listened on, or one of `hosts`; it brings a key where
    REST would ask for one.
    Raises `Unavailable` where NATS does not answer, `OSError` when the address is taken.
    """
    async with _gate(bus, settings, name) as gate:
        serving = server(gate)
        app = serving.streamable_http_app(
            streamable_http_path=PATH,
            max_request_body_size=settings.body_bytes_max + ENVELOPE_BYTES_MAX,
            max_sessions=SESSIONS_MAX,
            transport_security=security([settings.http_host, *hosts]),
        )
        listening = http_server.bind(settings)
        host, port = listening.getsockname()[:2]
        http = http_server.server(Admission(gate, app), settings, lambda: log.info("MCP is served on http://%s:%d%s", host, port, PATH))
        async with serving.session_manager.run(), asyncio.TaskGroup() as group:
            stopping = group.create_task(_stop(stop, gate, http), name="mcp: stop")
            await http.serve([listening])
            stopping.cancel()


def security(hosts: Sequence[str]) -> TransportSecuritySettings:
    """Which Host and Origin are let in: a page in a browser that resolves its own name to this machine is not."""
    names = list(dict.fromkeys([*LOOPBACK, *(f"[{h}]" if ":" in h else h for h in hosts)]))
    return TransportSecuritySettings(
        allowed_hosts=[pattern for name in names for pattern in (name, f"{name}:*")],
        allowed_origins=[f"{scheme}://{name}{port}" for name in names for scheme in ("http", "https") for port in ("", ":*")],
    )


class Admission:
    """Lets no request in whose key may not even read; what each tool needs beyond that is looked at when it is used."""

    def __init__(self, gate: Gate, app: ASGIApp) -> None:
        self._gate = gate
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        try:
            await self._gate.guard.admit(Needs.READ, exchange.header("authorization"), exchange.address)
        except CerebroError as e:
            await exchange.answer(problem(e))
            return
        await self._app(scope, receive, send)


async def _stop(stop: asyncio.Event, gate: Gate, http: uvicorn.Server) -> None:
    await stop.wait()
    gate.closing.set()
    http.should_exit = True


def listening_on(settings: GatewaySettings, host: str, port: int) -> GatewaySettings:
    """These settings with another address."""
    return msgspec.structs.replace(settings, http_host=host, http_port=port)
