"""One actor as a child process, watched from outside its event loop.

The child inherits one end of a pipe (its number is in CEREBRO_READY_FD). It writes `ready` once when it serves and
then a dot every second, from its event loop. So a loop that hangs is seen although the process lives.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from cerebro.embedded.child import Child, ServerFailed, spawn, tail
from cerebro.failures import MISCONFIGURED
from cerebro.part import Part

READY_FD: Final = "CEREBRO_READY_FD"
START_S: Final = 180.0  # loading the embedding model on a busy machine, or reading a long log again (about 10,000 entries a second)
SILENCE_CHECKS_MAX: Final = 3
SILENCE_CHECK_S: Final = 5.0  # three checks and not one of 15 s: after Ctrl-Z and `fg` the first one fails without cause


class ActorMisconfigured(ServerFailed):
    """An actor cannot work with these settings. The message is the actor's own."""

    def __init__(self, name: str, log: Path) -> None:
        Exception.__init__(self, f"{name}: {tail(log).splitlines()[-1].removeprefix('cerebro: ')}")


class ActorProcess(Part):
    """The actor `name`, started by `command`, with its log. `start`, `stop` and `wait` as an embedded server has them."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path, stop_s: float) -> None:
        super().__init__()
        self.name = name
        self._command = command
        self._environment = environment
        self._log = log
        self._stop_s = stop_s
        self._pulse: asyncio.StreamReader | None = None

    async def start(self) -> None:
        """Start it, and return when it says `ready`. Raises ServerFailed; the process is gone then."""
        reading, writing = os.pipe()
        try:
            self._pulse = await listen(reading)
            environment = {**self._environment, READY_FD: str(writing)}
            self._child = await spawn(self._command, self._log, environment=environment, pass_fds=(writing,), stop_s=self._stop_s)
        finally:
            os.close(writing)
        try:
            await self._wait_until_ready(self._child, self._pulse)
        except BaseException:
            await self._child.kill()
            raise

    async def wait(self) -> int:
        """Return its exit status when it has ended, or was ended because its event loop stood still for 15 s."""
        assert self._pulse is not None, f"{self.name} was never started"
        silent = 0
        while silent < SILENCE_CHECKS_MAX:
            try:
                async with asyncio.timeout(SILENCE_CHECK_S):
                    beat = await self._pulse.readline()
            except TimeoutError:
                silent += 1
                continue
            if not beat:  # the pipe is closed: it has ended, or is about to
                break
            silent = 0
        else:
            await self.child.kill()
        return await self.child.wait()

    async def _wait_until_ready(self, child: Child, pulse: asyncio.StreamReader) -> None:
        try:
            async with asyncio.timeout(START_S):
                word = await pulse.readline()
        except TimeoutError:
            raise ServerFailed(self.name, f"was not ready within {START_S:g} s", self._log) from None
        if word != b"ready\n":
            status = await child.wait()
            if status == MISCONFIGURED:
                raise ActorMisconfigured(self.name, self._log)
            raise ServerFailed(self.name, f"ended with status {status}", self._log)


async def listen(descriptor: int) -> asyncio.StreamReader:
    """A reader on the reading end of a pipe, which it closes at its end."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb"))
    return reader
