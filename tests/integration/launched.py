"""A `cerebro up` in a process of its own, as a user starts it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from bus.settings import BusSettings
from cerebro import runfile
from cerebro.keys import OPERATOR, Keys

UP = (sys.executable, "-m", "cerebro", "up")
AGENT = (sys.executable, "-m", "cerebro", "agent")
START_S = 90.0
STOP_S = 10.0  # what is promised


class Up:
    """Started on free ports. Its output, errors included, is in `output`. `code`: the folder whose code it runs, if not this one's."""

    def __init__(self, data: Path, *options: str, code: Path | None = None) -> None:
        self.data = data
        self.output = data.with_suffix(".out")
        with self.output.open("w") as output:
            free = ("--http", "127.0.0.1:0", "--nats", "127.0.0.1:0")
            self.process = subprocess.Popen(
                [*UP, "--data", data, *free, *options], stdout=output, stderr=output, cwd=code, env=_running(code)
            )

    def wait_until_ready(self, wait_s: float = START_S) -> "Up":
        until(lambda: self.process.poll() is not None or "\nready " in self.output.read_text(), wait_s)
        assert self.process.poll() is None, self.output.read_text()
        return self

    @property
    def run(self) -> runfile.Run:
        run = runfile.read(self.data)
        assert run is not None
        return run

    def credentials(self, name: str = OPERATOR) -> dict[str, Any]:
        """What `nats.connect` takes to be `name` on this mesh's bus."""
        return credentials(self.data, self.run.nats, name)

    def admitted(self, name: str) -> dict[str, Any]:
        """The credentials of an external agent, which is given a key if it has none."""
        return admitted(self.data, self.run.nats, name)

    def bus_settings(self, name: str = OPERATOR) -> BusSettings:
        """What `Bus.connect` takes to be `name` on it."""
        return BusSettings(nats_url=self.run.nats, nats_nkey=str(Keys(self.data).seed(name)))

    def stop(self, wait_s: float = STOP_S) -> float:
        """End it as `kill` does; how long that took, in seconds. On a machine that is kept busy on purpose it may take longer."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=wait_s)
        return time.monotonic() - began

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def _running(code: Path | None) -> dict[str, str]:
    """The environment of a process that runs the code in that folder."""
    return {**os.environ, "PYTHONPATH": str(code)} if code else dict(os.environ)


def credentials(data: Path, url: str, name: str) -> dict[str, Any]:
    """What `nats.connect` takes to be `name` on the bus of the mesh that runs on `data`."""
    return {"servers": url, "nkeys_seed": str(Keys(data).seed(name)), "inbox_prefix": BusSettings().inbox(name)}


def admitted(data: Path, url: str, name: str) -> dict[str, Any]:
    """The credentials of an external agent, which is given a key if it has none."""
    if not Keys(data).seed(name).exists():
        added = subprocess.run([*AGENT, "add", name, "--data", data], capture_output=True, text=True, timeout=60, check=False)
        assert added.returncode == 0, added.stderr
    return credentials(data, url, name)


def until(condition: Callable[[], bool], wait_s: float = 30.0) -> None:
    deadline = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether a process runs. One that ended and waits for init to notice does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
