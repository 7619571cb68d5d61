"""The gateway as an actor: serve HTTP, keep a connection to NATS, stop in good order."""

import asyncio
import logging
from collections.abc import Callable

import uvicorn

from bus.cancelling import end
from bus.connection import Bus
from bus.errors import Unavailable
from bus.settings import BusSettings
from gateway.a2a.push import Push
from gateway.a2a.settings import A2ASettings
from gateway.app import application
from gateway.call import Gate
from gateway.metrics import Metrics
from gateway.server import bind, server
from gateway.settings import GatewaySettings

log = logging.getLogger("cerebro.gateway")

CONNECT_PAUSE_S = 0.5
"""Pause before the first connection to NATS is tried again; later ones are the client's own affair."""


async def run(
    bus: BusSettings, settings: GatewaySettings, ready: Callable[[], None], stop: asyncio.Event, a2a: A2ASettings | None = None
) -> None:
    """Serve until `stop` is set. `ready` is called once the socket is bound, NATS there or not (then 503s).

    Raises `OSError` when the address is taken.
    """
    gate = Gate(settings, Metrics(), a2a or A2ASettings())
    http = server(application(gate), settings, ready)
    listening = bind(settings)
    host, port = listening.getsockname()[:2]
    log.info("serving on http://%s:%d", host, port)
    try:
        async with asyncio.TaskGroup() as group:
            connection = group.create_task(_connect(bus, gate), name="gateway: NATS")
            group.create_task(_stop(stop, gate, http), name="gateway: stop")
            await http.serve([listening])
            await end(connection)
            stop.set()  # a server that ended by itself ends the rest
    finally:
        await gate.disconnect()


async def _connect(settings: BusSettings, gate: Gate) -> None:
    """Reach NATS for the first time, however long that takes; then serve webhooks, as long as NATS admits us."""
    while True:
        try:
            bus = await Bus.connect(settings, "gateway")
        except Unavailable as e:
            log.warning("%s", e)
            await asyncio.sleep(CONNECT_PAUSE_S)
        else:
            gate.connect(bus)
            async with asyncio.TaskGroup() as group:
                group.create_task(Push(gate, bus).run(), name="gateway: webhooks")
                group.create_task(bus.while_admitted(), name="gateway: admitted")


async def _stop(stop: asyncio.Event, gate: Gate, http: uvicorn.Server) -> None:
    """On `stop`: end event streams and waits, take no more connections, let requests under way end."""
    await stop.wait()
    gate.closing.set()
    http.should_exit = True
