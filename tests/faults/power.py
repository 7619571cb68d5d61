"""Power cuts: whatever runs on a disk is stopped in mid-write, the disk is copied as it stands at that instant, and something is started on
the copy. The copy holds what had reached the disk, and nothing of what was still in anybody's memory.

What was acknowledged is noted while everything is still stopped: nothing that was acknowledged later can be missed on the copy.
"""

import asyncio
import contextlib
import copy
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import asyncpg
import msgspec
import psutil

from bus import streams, subjects
from bus.connection import Bus
from bus.errors import CerebroError
from bus.log import bounds, entries, follow
from bus.settings import BusSettings
from cerebro.embedded.child import ServerFailed
from cerebro.embedded.nats import NatsServer
from cerebro.embedded.postgres import PostgresServer
from cerebro.keys import OPERATOR, Keys
from cerebro.launcher import together
from cerebro.options import SEAL_KEYS
from memory import main as memory
from memory import migrations
from memory.settings import MemorySettings
from schemas.entry import Entry
from tests.faults.disk import Disk
from tests.faults.invariants import READ_S, ROWS, Ledger, Row, judge_effects, judge_log, judge_rows
from tests.faults.load import AGENTS, Load
from tests.faults.verdict import Verdict
from tests.fuzz import watch
from tests.integration.launched import Up
from tests.integration.rest import eventually

SIZE_BYTES: Final = 6 * 1024**3
"""Of a disk: more than the limits of all streams together. Its file is sparse, and holds some hundred MB."""
STOP_WAIT_S: Final = 10.0
"""Longest time for the kernel to have stopped everybody: who waits for the disk stops when it has answered."""
HEARD_S: Final = 0.1
"""So long answers that were sent before the stop are still heard."""
GONE_WAIT_S: Final = 10.0
LATE_S: Final = 900.0
"""So late a task may end whose time was over while nothing ran: several copies are looked at one after the other."""
NOWHERE: Final = "redis://127.0.0.1:1/0"
CAUGHT_UP_S: Final = 120.0
NOT_YET: Final = (CerebroError, OSError, AssertionError)


class Stopped:
    """Processes that are stopped, with all below them, until they `go_on` or are `killed`."""

    def __init__(self, roots: Sequence[psutil.Process]) -> None:
        self._known: dict[int, psutil.Process] = {}
        while new := [p for p in families(roots) if p.pid not in self._known]:
            for process in new:
                self._known[process.pid] = process
                self._send(process, signal.SIGSTOP)
        deadline = time.monotonic() + STOP_WAIT_S
        while running := [p for p in self._known.values() if not stands_still(p)]:
            assert time.monotonic() < deadline, f"not stopped: {running}"
            time.sleep(0.001)

    def go_on(self) -> None:
        for process in self._known.values():
            self._send(process, signal.SIGCONT)

    def kill(self) -> None:
        """End all of them at once. PostgreSQL's first process may end by itself, when nobody hears it any more: killed it leaves memory
        behind.
        """
        known = list(self._known.values())
        postmasters = [p for p in known if is_postmaster(p)]
        for process in known:
            self._send(process, signal.SIGQUIT if process in postmasters else signal.SIGKILL)
        for process in postmasters:
            self._send(process, signal.SIGCONT)
        _, left = psutil.wait_procs(known, timeout=GONE_WAIT_S)
        for process in left:
            self._send(process, signal.SIGKILL)
        _, left = psutil.wait_procs(left, timeout=GONE_WAIT_S)
        assert not [p for p in left if p.status() != psutil.STATUS_ZOMBIE], left

    @staticmethod
    def _send(process: psutil.Process, number: signal.Signals) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def families(roots: Sequence[psutil.Process]) -> list[psutil.Process]:
    """These processes and all below them that there are now."""
    found = []
    for root in roots:
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [root, *root.children(recursive=True)]
    return found


def stands_still(process: psutil.Process) -> bool:
    try:
        return process.status() in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
    except psutil.NoSuchProcess:
        return True


class Witness:
    """Reads the log as an agent does, and keeps what it read: nobody may have acted on what a power cut takes back."""

    def __init__(self) -> None:
        self.seen: dict[int, str] = {}

    @asynccontextmanager
    async def watching(self, up: Up) -> AsyncIterator[None]:
        bus = await Bus.connect(up.bus_settings(), OPERATOR, 30.0)
        reading = asyncio.create_task(self._read(bus), name="witness")
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.wait({reading})
            await bus.close()

    async def _read(self, bus: Bus) -> None:
        async for batch in follow(bus, (), max(self.seen, default=0)):
            self.seen |= {entry.seq: entry.event_id for entry in batch if isinstance(entry, Entry)}


def judge_seen(verdict: Verdict, ledger: Ledger, seen: Mapping[int, str]) -> None:
    """What somebody has read stands where it stood."""
    stands = {entry.seq: entry.event_id for entry in ledger.entries}
    first = min(stands, default=0)
    gone = [seq for seq, ident in seen.items() if seq >= first and stands.get(seq) != ident]
    verdict.find("entries that were read from the log are not there any more", gone, lost=True)


def kept_log(ledger: Ledger) -> Path:
    """A file with the log as it was read, an entry a line, to see what went wrong."""
    with tempfile.NamedTemporaryFile(prefix="cerebro-log-", suffix=".jsonl", delete=False) as file:
        file.writelines(msgspec.json.encode(entry) + b"\n" for entry in ledger.entries)
    return Path(file.name)


def is_postmaster(process: psutil.Process) -> bool:
    try:
        parent = process.parent()
        return process.name() == "postgres" and (parent is None or parent.name() != "postgres")
    except psutil.NoSuchProcess:
        return False


class Cut(msgspec.Struct, frozen=True):
    """What a power cut left: the disk, what had been acknowledged until then, and what had been read from the log."""

    disk: Disk
    load: Load
    seen: dict[int, str]


def as_it_was(load: Load) -> Load:
    """The load with what is acknowledged now; what it is told later does not count."""
    then = copy.copy(load)
    then.acknowledged = copy.deepcopy(load.acknowledged)
    then.effects = list(load.effects)
    return then


async def cut(disk: Disk, to: Path, up: Up, load: Load, witness: Witness, *, off: bool) -> Cut:
    """Cut the power of a mesh and look what is left on the disk; the mesh itself is `off` for good, or goes on as if nothing had been."""
    with without_power(up, off=off):
        found = disk.copied(to)
        await asyncio.sleep(HEARD_S)
        return Cut(found, as_it_was(load), dict(witness.seen))


@contextmanager
def without_power(up: Up, *, off: bool) -> Iterator[None]:
    """A mesh stopped in whatever it does; afterwards it is `off` for good, or goes on."""
    stopped = Stopped([psutil.Process(up.process.pid)])
    try:
        yield
    finally:
        if off:
            stopped.kill()
            up.process.wait()
        else:
            stopped.go_on()


@asynccontextmanager
async def mesh_on(disk: Disk, at: Path, load: Load | None = None) -> AsyncIterator[Up]:
    """The whole mesh on a disk; `load` is told of it. At the end the power is cut."""
    with disk.mounted(at):
        data = at / "data"
        logs = watch.Logs(data)
        up = Up(data)
        try:
            await asyncio.to_thread(up.wait_until_ready)
            if load is not None:
                load.up, load.logs, load.processes = up, logs, watch.Processes(data)
            yield up
        finally:
            if up.process.poll() is None:
                Stopped([psutil.Process(up.process.pid)]).kill()
            up.process.wait()


class Remains:
    """NATS, PostgreSQL and the memory actor of a data folder, without agents and gateway: they hold everything that was acknowledged.

    The actor runs in this process, which spares each cut the start of another one. `nats` may be another server, to plant a bug.
    """

    def __init__(self, data: Path, *, nats: type[NatsServer] = NatsServer, log_bytes_max: int = BusSettings().log_bytes_max) -> None:
        self._data = data
        self._keys = Keys(data)
        self._log_bytes_max = log_bytes_max
        logs = data / "logs"
        self._nats = nats(data / "nats", logs / "nats.log", users=self._keys.users)
        self._postgres = PostgresServer(data / "postgres", logs / "postgres.log")
        self._stop = asyncio.Event()
        self._memory: asyncio.Task[None] | None = None

    @property
    def bus_settings(self) -> BusSettings:
        return BusSettings(nats_url=self._nats.url, nats_nkey=str(self._keys.seed(OPERATOR)), log_bytes_max=self._log_bytes_max)

    @property
    def dsn(self) -> str:
        return self._postgres.url

    async def start(self) -> None:
        """Everything, as the launcher does. Raises ServerFailed."""
        await self.start_servers()
        self.start_memory()

    async def start_servers(self) -> None:
        """NATS and PostgreSQL, with tables and streams."""
        self._keys.prepare(AGENTS, "")
        await together([self._nats.start(), self._postgres.start()])
        await together([migrations.apply(self.dsn), streams.declare(self.bus_settings)])

    def start_memory(self) -> None:
        """The memory actor, without embeddings and without Redis."""
        bus = BusSettings(nats_url=self._nats.url, nats_nkey=str(self._keys.seed("memory")))
        settings = MemorySettings(postgres_dsn=self.dsn, redis_url=NOWHERE, embedding="none", seal_keys_dir=str(self._data / SEAL_KEYS))
        self._memory = asyncio.create_task(memory.run(bus, settings, lambda: None, self._stop), name="memory")

    def stopped(self) -> Stopped:
        """The servers, which hold the disk, stopped."""
        running = [part.child.pid for part in (self._nats, self._postgres) if part._child is not None and part.child.running]
        return Stopped([psutil.Process(pid) for pid in running if psutil.pid_exists(pid)])

    async def off(self) -> None:
        """The power is cut."""
        self.stopped().kill()
        if self._memory is not None:
            self._memory.cancel()
            await asyncio.wait({self._memory})

    async def caught_up(self) -> None:
        """Wait until memory has persisted the log."""
        bus = await Bus.connect(self.bus_settings, OPERATOR, 30.0)
        try:

            async def look() -> bool:
                assert self._memory is not None
                if self._memory.done():
                    self._memory.result()
                return (await watch.persister(bus)).left == 0

            await eventually(look, CAUGHT_UP_S, NOT_YET)
        finally:
            await bus.close()

    async def rows(self) -> list[Row]:
        connection = await asyncpg.connect(self.dsn)
        try:
            return [Row(*record) for record in await connection.fetch(ROWS, timeout=READ_S)]
        finally:
            await connection.close()

    async def verdict(self, load: Load, seen: Mapping[int, str]) -> Verdict:
        """What log and tables say of what was acknowledged. What has not ended is no fault here: nobody is there to end it."""
        verdict = Verdict(acknowledged=load.acknowledged.total(), refused=load.refused.total(), unknown=load.unknown)
        ledger = Ledger(late_s=LATE_S)
        bus = await Bus.connect(self.bus_settings, OPERATOR, 30.0)
        try:
            ledger.take(await entries(bus, (), timeout_s=READ_S))
            first, _ = await bounds(bus)
            copied = await entries(bus, (), stream=subjects.LESSONS, timeout_s=READ_S)
        finally:
            await bus.close()
        judge_log(verdict, ledger, load)
        judge_effects(verdict, ledger, load)
        judge_rows(verdict, ledger, load, await self.rows(), first)
        judge_seen(verdict, ledger, seen)
        if verdict.broken:
            verdict.figures["log kept in"] = str(kept_log(ledger))
        kept = {entry.event_id for entry in copied}
        verdict.find("acknowledged lessons are not kept", [i for i in load.acknowledged.lessons if i not in kept], lost=True)
        return verdict


@asynccontextmanager
async def remains_on(disk: Disk, at: Path, **planted: object) -> AsyncIterator[Remains]:
    """What there is on a disk, not started yet. At the end the power is cut."""
    with disk.mounted(at):
        remains = Remains(at / "data", **planted)  # type: ignore[arg-type]
        try:
            yield remains
        finally:
            await remains.off()


async def cut_while_recovering(disk: Disk, at: Path, after_s: float, to: Path) -> Disk:
    """Start on a disk, and cut the power again after so many seconds: what is left then."""
    async with remains_on(disk, at) as remains:
        starting = asyncio.create_task(remains.start(), name="recovering")
        await asyncio.wait({starting}, timeout=after_s)
        stopped = remains.stopped()
        try:
            left = disk.copied(to)
        finally:
            stopped.kill()
        starting.cancel()
        await asyncio.wait({starting})
        if not starting.cancelled() and (failure := starting.exception()) is not None:
            assert contains(failure, ServerFailed | CerebroError | OSError | asyncpg.PostgresError | asyncpg.InterfaceError), failure
    return left


def contains(failure: BaseException, kinds: object) -> bool:
    """Whether it is one of these kinds, or a group of nothing else."""
    if isinstance(failure, BaseExceptionGroup):
        return all(contains(inner, kinds) for inner in failure.exceptions)
    return isinstance(failure, kinds)  # type: ignore[arg-type]
