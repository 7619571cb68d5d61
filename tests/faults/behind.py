"""A mesh by the real launcher whose every actor reaches every server through a proxy of its own.

    mesh = Behind(folder / "data", chances.random("network"))
    await mesh.do(lambda: mesh.links["memory", "postgres"].half_open())

Tests, and the agents of others, are OUTSIDE: they have a proxy before NATS as well, whose address `run.nats` and the credentials name.
The proxies turn in a thread of their own, so that no test holds them up.
"""

import asyncio
import inspect
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from cerebro import runfile
from cerebro.address import Address
from tests.faults.proxy import Proxy
from tests.faults.redirect import redirected
from tests.integration.launched import Up, until

ROOT: Final = Path(__file__).parents[2]
AGENTS: Final = ("aria", "nexus", "ricardo")
PATIENCE_S: Final = 300.0
"""Longest wait for the mesh to start, or to end. What it promises of that is looked at elsewhere, on a machine that does nothing else."""
OUTSIDE: Final = "outside"
LINKS: Final = (*((part, "nats") for part in (*AGENTS, "memory", "gateway", OUTSIDE)), ("memory", "postgres"), ("memory", "redis"))
"""Who reaches what; no other actor speaks to another server."""


class Behind(Up):
    """As `Up`, on free ports. `links`: the proxy of each part before each server. `code`: the folder whose product runs; `settings` are
    put into its environment.
    """

    def __init__(self, data: Path, rng: random.Random, *, code: Path = ROOT, **settings: str) -> None:
        self.data = data
        self.output = data.with_suffix(".out")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()
        self._nats = Address(port=0).chosen()
        self.links: dict[tuple[str, str], Proxy] = {}
        for part, server in LINKS:
            self.links[part, server] = proxy = Proxy(self._upstream(server), random.Random(rng.getrandbits(64)))
            self._wait(proxy.start())
        ports: dict[str, dict[str, int]] = {}
        for (part, server), proxy in self.links.items():
            ports.setdefault(part, {})[server] = proxy.port
        command = [sys.executable, "-m", "tests.faults.redirect", json.dumps(ports), "up", str(data), "127.0.0.1:0", str(self._nats)]
        with self.output.open("w") as output:
            environment = {**os.environ, "PYTHONPATH": f"{code}:{ROOT}", **settings}  # these tests are not in a copy of the product
            self.process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)

    def _upstream(self, server: str) -> Callable[[], tuple[str, int]]:
        def address() -> tuple[str, int]:
            run = runfile.read(self.data)
            parts = urlsplit(getattr(run, server) if run else "")
            if parts.hostname is None or parts.port is None:
                raise ConnectionError(f"{server} is not started yet")
            return parts.hostname, parts.port

        return address

    def wait_until_ready(self) -> "Behind":
        until(lambda: self.process.poll() is not None or "\nready " in self.output.read_text(), PATIENCE_S)
        assert self.process.poll() is None, self.output.read_text()
        return self

    @property
    def run(self) -> runfile.Run:
        """run.json, but for the address of NATS, which is the proxy's."""
        run = super().run
        return msgspec.structs.replace(run, nats=redirected(run.nats, self.links[OUTSIDE, "nats"].port))

    @property
    def direct(self) -> runfile.Run:
        """run.json as it is."""
        return super().run

    def before(self, server: str) -> list[Proxy]:
        """All proxies that stand before it."""
        return [proxy for (_, behind), proxy in self.links.items() if behind == server]

    async def do(self, action: Callable[[], Any]) -> Any:
        """Do something with the proxies, in their thread, and wait for it."""

        async def there() -> Any:
            done = action()
            return await done if inspect.isawaitable(done) else done

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(there(), self._loop))

    def _wait(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def stop(self) -> float:
        """End the mesh, then the proxies."""
        try:
            began = time.monotonic()
            self.process.terminate()
            self.process.wait(timeout=PATIENCE_S)
            return time.monotonic() - began
        finally:
            for proxy in self.links.values():
                self._wait(proxy.stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE_S)
            self._loop.close()
