"""`cerebro up`: the whole mesh on one machine, each part a process of its own, supervised.

Start: servers, then tables and streams, then the actors. Stop: callers before what they call, within ten seconds.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any, Final

import psutil

from cerebro import runfile
from cerebro.actor_process import ActorMisconfigured, ActorProcess
from cerebro.embedded.child import ServerFailed, run_to_end
from cerebro.embedded.nats import NatsServer
from cerebro.embedded.postgres import PostgresServer
from cerebro.embedded.redis import RedisServer
from cerebro.embedded.room import has_room
from cerebro.failures import first
from cerebro.keys import OPERATOR, Keys
from cerebro.leftovers import end_leftovers
from cerebro.logs import keep_short
from cerebro.options import EXTERNAL, SEAL_KEYS, Options
from cerebro.part import Part, Server
from cerebro.settings import SHORT
from cerebro.supervisor import Supervisor

ACTOR_STOP_S: Final = 1.9  # three layers of these and one of servers (3.5 s): nine seconds and a bit at worst
NATS_NKEY: Final = SHORT["bus", "nats_nkey"]
GATEWAY_STOP_S: Final = "1"  # what it gives open requests, so that it ends by itself within ACTOR_STOP_S


class LauncherError(Exception):
    """The mesh cannot be started. The message says what to do."""


class Launcher:
    """One `cerebro up`. `run` returns when its `stop` is set and everything has ended."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._data = options.data.absolute()
        self._http = options.http.chosen()
        self._nats = options.nats.chosen()
        self._keys = Keys(self._data)
        self._servers = self._embedded()
        self._urls = dict(options.external)
        self._supervisors: dict[str, Supervisor] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Start, supervise, and stop in order. Raises AlreadyRunning, LauncherError or ServerFailed; nothing runs then."""
        with runfile.locked(self._data):
            self._clear_the_way()
            self._keys.prepare(self._options.agents, self._options.bus.prefix)
            try:
                async with asyncio.TaskGroup() as group:
                    living = group.create_task(self._live(), name="live")
                    await stop.wait()
                    living.cancel()
            except BaseExceptionGroup as failures:
                raise first(failures) from None
            finally:
                await self._stop()

    async def _live(self) -> None:
        """Start everything, then supervise it until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(keep_short(self._log("nats").parent, self._options.log_file_bytes_max), name="keep logs short")
            await together(self._start(server) for server in self._servers)
            for server in self._servers:
                group.create_task(self._supervisors[server.name].keep(), name=f"keep {server.name}")
            await together([self._prepare("database"), self._prepare("streams")])
            for name, actor in {"memory": "memory", **self._options.agent_processes, "gateway": "gateway"}.items():
                group.create_task(self._start_actor(name, actor), name=f"keep {name}")
            await asyncio.sleep(0)  # let each register its supervisor
            await together(supervisor.settled.wait() for supervisor in self._supervisors.values())
            if self._supervisors["gateway"].quarantined:
                raise LauncherError(f"the gateway does not start: see {self._log('gateway')}")
            self._keys.write_contexts(self._urls["nats"], self._options.bus.nats_ca)
            say(f"ready {self._run().http}")

    async def _start(self, part: Part) -> None:
        began = time.monotonic()
        supervisor = Supervisor(part, self._options.policy, self._changed, lambda: has_room(self._data))
        self._supervisors[part.name] = supervisor
        await supervisor.start()
        if isinstance(part, Server):
            self._urls[part.name] = part.url
        self._write()
        progress(part.name, began)

    async def _start_actor(self, name: str, actor: str) -> None:
        """Start the process `name` of an actor and keep it. That it fails at first is not the end: it is tried again, as after a
        crash. Only what the settings are to blame for is: ActorMisconfigured.
        """
        command = [*self._options.actor_command, actor]
        process = ActorProcess(name, command, self._environment(actor), self._log(name), ACTOR_STOP_S)
        try:
            await self._start(process)
        except ActorMisconfigured:
            raise
        except ServerFailed as failure:
            say(str(failure))
        await self._supervisors[name].keep()

    async def _prepare(self, what: str) -> None:
        began = time.monotonic()
        log = self._log("prepare")
        status = await run_to_end([*self._options.prepare_command, what], log, environment=self._environment(OPERATOR))
        if status != 0:
            raise ServerFailed(f"preparing the {what}", f"failed with status {status}", log)
        progress(what, began)

    async def _stop(self) -> None:
        began = time.monotonic()
        for layer in (("gateway",), self._options.agent_processes, ("memory",), EXTERNAL):
            await together(self._supervisors[name].part.stop() for name in layer if name in self._supervisors)
        runfile.remove(self._data)
        progress("stopped", began)

    def _clear_the_way(self) -> None:
        """End what a killed launcher left, then make sure that nobody else is at our ports."""
        if former := runfile.read(self._data):
            for name in end_leftovers(former):
                say(f"ended {name}, left behind by a launcher that was killed")
        runfile.remove(self._data)
        wanted = {"--http": self._http} | ({} if "nats" in self._options.external else {"--nats": self._nats})
        for option, address in wanted.items():
            try:
                address.require_free()
            except OSError as refused:
                raise LauncherError(
                    f"cannot listen on {address} ({reason(refused)}): choose another with {option} HOST:PORT (0: a free one)"
                ) from None

    def _embedded(self) -> list[Server]:
        servers: list[Server] = [
            NatsServer(
                self._data / "nats", self._log("nats"), self._nats, self._keys.users, self._options.nats_server, self._options.bus.ping_s
            ),
            PostgresServer(self._data / "postgres", self._log("postgres")),
            RedisServer(self._data / "redis", self._log("redis")),
        ]
        return [server for server in servers if server.name not in self._options.external]

    def _environment(self, name: str) -> dict[str, str]:
        """What the child `name` is told: our own environment, where the servers are, who it is there, and where to listen.

        For a NATS server that runs elsewhere it is whoever our own environment says.
        """
        key = {} if "nats" in self._options.external else {NATS_NKEY: str(self._keys.seed(name))}
        return {
            "CEREBRO_MEMORY_SEAL_KEYS_DIR": str(self._data / SEAL_KEYS),
            **self._options.environment,
            **key,
            **{variable: self._urls[name] for name, variable in EXTERNAL.items()},
            "CEREBRO_GATEWAY_RATES_REDIS_URL": self._urls["redis"],
            "CEREBRO_GATEWAY_HTTP_HOST": self._http.host,
            "CEREBRO_GATEWAY_HTTP_PORT": str(self._http.port),
            "CEREBRO_GATEWAY_STOP_S_MAX": GATEWAY_STOP_S,
        }

    def _log(self, name: str) -> Path:
        return self._data / "logs" / f"{name}.log"

    def _changed(self, sentence: str) -> None:
        say(sentence)
        try:
            self._write()
        except OSError as e:
            say(f"run.json does not say so: {e}")

    def _write(self) -> None:
        runfile.write(self._data, self._run())

    def _run(self) -> runfile.Run:
        """The mesh as it is now, for run.json."""
        started = {name: supervisor for name, supervisor in self._supervisors.items() if supervisor.settled.is_set()}
        processes = {"launcher": os.getpid()} | {name: s.part.pid for name, s in started.items() if not s.quarantined}
        urls = {name: self._urls.get(name, "") for name in EXTERNAL}
        return runfile.Run(
            http=f"http://{self._http}",
            **urls,
            processes=processes,
            started={name: begin for name, pid in processes.items() if (begin := start_time(pid))},
            quarantined=[name for name, s in started.items() if s.quarantined],
        )


def reason(error: OSError) -> str:
    """What the system says of an error, without what Python adds to it. Names that cannot be resolved have no errno of it."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror)


def start_time(pid: int) -> float:
    """When that process began, in seconds since 1970; 0 if it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).create_time()
    return 0.0


async def together(coroutines: Iterable[Coroutine[Any, Any, Any]]) -> None:
    """Run them at the same time; the first failure cancels the others."""
    async with asyncio.TaskGroup() as group:
        for number, coroutine in enumerate(coroutines):
            group.create_task(coroutine, name=f"together {number}")


def progress(name: str, began: float) -> None:
    say(f"{name:<10} {time.monotonic() - began:6.2f} s")


def say(sentence: str) -> None:
    """Print for people. A terminal that went away must not keep us from stopping."""
    with contextlib.suppress(OSError):
        print(sentence, flush=True)
