"""A memory actor in the process of the test, until its block ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bus.settings import BusSettings
from memory.main import run
from memory.settings import MemorySettings


@asynccontextmanager
async def actor(bus_settings: BusSettings, settings: MemorySettings) -> AsyncIterator[asyncio.Event]:
    """A running actor; the event it yields stops it."""
    ready, stop = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(run(bus_settings, settings, ready.set, stop))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        if running.done():
            running.result()
        yield stop
    finally:
        stop.set()
        await running
