"""A real gateway on a real NATS, and stand-ins for the actors behind it: services that answer as the contract says."""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from bus import streams
from bus.connection import Bus
from bus.service import Service
from bus.settings import BusSettings
from bus.subjects import Subject
from gateway import main
from gateway.a2a.settings import A2ASettings
from gateway.settings import GatewaySettings

LOG_BYTES = 16 * 1024 * 1024
"""Each test has a log of its own, and the server reserves room for the whole of each."""
SETTINGS = GatewaySettings(
    body_s_max=1.0,
    head_s_max=1.0,
    memory_wait_s=0.6,
    assign_wait_s=0.4,
    end_grace_s=0.5,
    away_patience_s=0.3,
    ask_s=2.0,
    stream_keep_alive_s=0.3,
    streams_max=3,
)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Door:
    """The gateway under test: `http` talks to it, `bus` is a connection of the test's own."""

    def __init__(self, settings: GatewaySettings, bus: Bus | None, http: httpx.AsyncClient, stop: asyncio.Event) -> None:
        self.settings = settings
        self._bus = bus
        self.http = http
        self.stop = stop
        self._services: list[Service] = []

    @property
    def bus(self) -> Bus:
        assert self._bus is not None
        return self._bus

    async def stand_in(self, answers: dict[Subject, Any]) -> Service:
        """Answer these rows with a fixed reply, or with what a handler returns."""
        service = Service(self.bus, "stand-in", "answers in the place of an actor")
        for row, answer in answers.items():
            service.answer(row, answer if callable(answer) else _always(answer))
        await service.start()
        self._services.append(service)
        return service

    async def close(self) -> None:
        for service in self._services:
            await service.stop()


def _always(reply: Any) -> Callable[[Any], Awaitable[Any]]:
    async def handler(_: Any) -> Any:
        return reply

    return handler


@contextlib.asynccontextmanager
async def opened(
    bus_settings: BusSettings, settings: GatewaySettings, *, with_bus: bool = True, a2a: A2ASettings | None = None
) -> AsyncIterator[Door]:
    """A running gateway with these settings, stopped in good order afterwards."""
    settings = msgspec.structs.replace(settings, http_port=free_port())
    stop, serving = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(main.run(bus_settings, settings, serving.set, stop, a2a), name="gateway under test")
        waiting = group.create_task(serving.wait(), name="until it serves")
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
        bus = await Bus.connect(bus_settings, "test") if with_bus else None
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.http_port}", timeout=20) as http:
            door = Door(settings, bus, http, stop)
            if with_bus:
                await until_ready(http)
            try:
                yield door
            finally:
                await door.close()
                stop.set()
        if bus is not None:
            await bus.close()


async def until_ready(http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(10):
        while (await http.get("/ready")).status_code != 200:
            await asyncio.sleep(0)


@pytest.fixture
def bus_settings(nats_url: str, prefix: str) -> BusSettings:
    return BusSettings(nats_url=nats_url, prefix=prefix, log_bytes_max=LOG_BYTES)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting_door(nats_url: str) -> AsyncIterator[Door]:
    """One gateway for all tests of a module that leave nothing behind which another would see."""
    bus_settings = BusSettings(nats_url=nats_url, prefix=f"t{secrets.token_hex(5)}", log_bytes_max=LOG_BYTES)
    await streams.declare(bus_settings)
    async with opened(bus_settings, SETTINGS) as door:
        yield door


@pytest_asyncio.fixture
async def door(bus_settings: BusSettings) -> AsyncIterator[Door]:
    await streams.declare(bus_settings)
    async with opened(bus_settings, SETTINGS) as door:
        yield door
