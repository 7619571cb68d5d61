"""A built-in agent in the process of the test, until its block ends: a mesh for agents that others wrote."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agents.llm.settings import LlmSettings
from agents.main import run
from agents.settings import AgentSettings
from agents.synadia.settings import BridgeSettings
from bus.settings import BusSettings
from bus.streams import declare


@asynccontextmanager
async def nexus(bus: BusSettings, settings: AgentSettings) -> AsyncIterator[None]:
    await declare(bus)
    ready, stop = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(run("nexus", bus, settings, BridgeSettings(), LlmSettings(), {}, ready.set, stop), name="nexus")
    waiting = asyncio.create_task(ready.wait(), name="ready")
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        if running.done():
            running.result()
        yield
    finally:
        stop.set()
        await running
