"""The composition root: one actor in this process, with its settings, its signals and its pulse.

Nothing is wired anywhere else. The actor runs until SIGTERM or SIGINT, or until the launcher is gone.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import uvloop

from bus.errors import Misconfigured
from cerebro.failures import first
from cerebro.settings import PULSE_FILE, READY_FD, Settings

BEAT_S: Final = 1.0
GC_THRESHOLDS: Final = (50_000, 10, 10)
"""A batch of 500 entries allocates tens of thousands of objects; at Python's 700 the collector took a sixth of the time."""
log: Final = logging.getLogger("cerebro.actors")


class Pulse:
    """Tells whoever watches from outside that the actor serves, and that its event loop turns.

    The launcher listens at the other end of a pipe, a container's health check looks at the age of a file. Either may
    be None.
    """

    def __init__(self, descriptor: int | None, file: Path | None, stop: asyncio.Event) -> None:
        self._descriptor = descriptor
        self._file = file
        self._stop = stop
        self._ready = asyncio.Event()
        if descriptor is not None:
            os.set_blocking(descriptor, False)

    def ready(self) -> None:
        """Say, once, that the actor serves."""
        log.info("ready")
        self._ready.set()
        self._write(b"ready\n")

    async def beat(self) -> None:
        """From `ready` on, show a sign of life every second, until cancelled."""
        await self._ready.wait()
        while True:
            if self._file is not None:
                self._file.touch()
            await asyncio.sleep(BEAT_S)
            self._write(b".\n")

    def _write(self, line: bytes) -> None:
        if self._descriptor is None:
            return
        try:
            os.write(self._descriptor, line)
        except BlockingIOError:
            log.debug("the launcher is stopped and its pipe is full: it will find plenty when it goes on")
        except BrokenPipeError:
            log.warning("the launcher is gone: stopping")
            self._stop.set()


def run(name: str, settings: Settings, environ: Mapping[str, str]) -> None:
    """Run the actor `name` until it is told to stop. Raises what the actor raises; `Misconfigured` by itself, out of its groups."""
    logging.basicConfig(level=settings.log_level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True)
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        uvloop.run(live(name, settings, environ))
    except BaseExceptionGroup as failures:
        if (told := failures.subgroup(Misconfigured)) is not None:
            raise first(told) from None
        raise


async def live(name: str, settings: Settings, environ: Mapping[str, str]) -> None:
    """Run the actor beside its pulse."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    descriptor, file = environ.get(READY_FD), environ.get(PULSE_FILE)
    pulse = Pulse(int(descriptor) if descriptor else None, Path(file) if file else None, stop)
    async with asyncio.TaskGroup() as group:
        beating = group.create_task(pulse.beat(), name="pulse")
        await actor(name, settings, pulse.ready, stop)
        beating.cancel()


def actor(name: str, settings: Settings, ready: Callable[[], None], stop: asyncio.Event) -> Awaitable[None]:
    """The one coroutine of each actor. Rooms are imported here, so that an actor loads its own only."""
    match name:
        case "memory":
            from memory.main import run as memory

            return memory(settings.bus, settings.memory, ready, stop)
        case "gateway":
            from gateway.main import run as gateway

            return gateway(settings.bus, settings.gateway, ready, stop, settings.a2a)
        case _:
            from agents.main import run as agent

            return agent(name, settings.bus, settings.agents, settings.bridge, settings.llm, settings.llm_by_agent, ready, stop)
