"""A child process: started on a leash, with its output in a log file, and ended within a bounded time."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

Identity = Literal["keep", "namespace", "nobody"]

LEASH: Final = Path(__file__).with_name("leash.py")
LOG_TAIL_LINES: Final = 5  # of a child's log, shown when it fails
LOG_TAIL_BYTES: Final = 4_096
KILL_WAIT_S: Final = 5.0  # for the kernel to take a killed process away


class ServerFailed(Exception):
    """An embedded server did not come up. The message says which, why, and the last lines of its log."""

    def __init__(self, name: str, reason: str, log: Path) -> None:
        super().__init__(f"{name} {reason}; the end of {log}:\n{tail(log)}")


class Child:
    """One child process with its log.

    `death_signal` is what the kernel sends it if this process dies; `stop_signal` asks it to end, and after
    `stop_s` seconds it is killed. It leads a session of its own, so that Ctrl-C in a terminal reaches the
    launcher only, which then stops the children in order.
    """

    def __init__(self, process: asyncio.subprocess.Process, stop_signal: signal.Signals, stop_s: float) -> None:
        self._process = process
        self._stop_signal = stop_signal
        self._stop_s = stop_s

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    async def wait(self) -> int:
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask it to end; kill it when it has not after `stop_s`. Returns when it is gone."""
        self.send(self._stop_signal)
        try:
            async with asyncio.timeout(self._stop_s):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End it at once. Returns when it is gone, or KILL_WAIT_S later."""
        self.send(signal.SIGKILL)
        with contextlib.suppress(TimeoutError):  # it hangs in the kernel: others must be stopped all the same
            async with asyncio.timeout(KILL_WAIT_S):
                await self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens if it has ended."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):  # it ended since we looked
                self._process.send_signal(number)


async def spawn(
    command: Sequence[str | Path],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    identity: Identity = "keep",
    death_signal: signal.Signals = signal.SIGKILL,
    stop_signal: signal.Signals = signal.SIGTERM,
    stop_s: float = 5.0,
) -> Child:
    """Start `command` on a leash, its output appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    leash = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), str(int(death_signal)), identity, "--"]
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *leash,
            *(str(part) for part in command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            pass_fds=pass_fds,
            start_new_session=True,
        )
    return Child(process, stop_signal, stop_s)


async def run_to_end(
    command: Sequence[str | Path], log: Path, *, environment: Mapping[str, str] | None = None, identity: Identity = "keep"
) -> int:
    """Run `command` and return its exit status; it is killed if the caller is cancelled."""
    child = await spawn(command, log, environment=environment, identity=identity)
    try:
        return await child.wait()
    except BaseException:
        await child.kill()
        raise


def tail(log: Path) -> str:
    """The last lines of a log file, for an error message; empty if there is none."""
    try:
        text = log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-LOG_TAIL_LINES:])
