"""What the tests of one actor share: a log of their own on the session's server, and a connection to it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bus.connection import Bus
from bus.settings import BusSettings
from bus.streams import declare


@pytest.fixture
def bus_settings(nats_url: str, prefix: str) -> BusSettings:
    return BusSettings(nats_url=nats_url, prefix=prefix, log_bytes_max=64 * 1024**2)  # the server reserves it for each test


@pytest_asyncio.fixture
async def bus(bus_settings: BusSettings) -> AsyncIterator[Bus]:
    await declare(bus_settings)
    connected = await Bus.connect(bus_settings, "test")
    yield connected
    await connected.close()
