"""Built-in agents in the process of the test, until their block ends: a mesh for agents that others wrote."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from agents.llm.settings import LlmSettings
from agents.main import run
from agents.settings import AgentSettings
from agents.synadia.settings import BridgeSettings
from bus.settings import BusSettings
from bus.streams import declare


@asynccontextmanager
async def builtin(name: str, bus: BusSettings, settings: AgentSettings) -> AsyncIterator[None]:
    """The agent of that name, from when it says that it is ready."""
    await declare(bus)
    ready, stop = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(run(name, bus, settings, BridgeSettings(), LlmSettings(), {}, ready.set, stop), name=name)
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


def nexus(bus: BusSettings, settings: AgentSettings) -> AbstractAsyncContextManager[None]:
    return builtin("nexus", bus, settings)
