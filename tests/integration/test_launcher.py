"""The launcher with stand-in actors: what it does when things fail, which real actors do not do on demand."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from cerebro import runfile
from cerebro.actor_process import ActorMisconfigured
from cerebro.address import Address
from cerebro.launcher import Launcher
from cerebro.options import Options
from cerebro.supervision import Policy

BEATING = (
    "import os,sys,time; fd=int(os.environ['CEREBRO_READY_FD']); os.write(fd,b'ready\\n')\nwhile True: time.sleep(1); os.write(fd,b'.\\n')"
)
MISFIT = f"import os,sys\nif sys.argv[1] == 'memory': print('cerebro: another space'); sys.exit(os.EX_CONFIG)\n{BEATING}"
WORDY = f"{BEATING[: BEATING.index('while')]}while True: print('x' * 9_999, flush=True); time.sleep(0.05); os.write(fd,b'.\\n')"
BROKEN_ARIA = f"import sys\nif sys.argv[1] == 'aria': sys.exit('no mind')\n{BEATING}"
LOOPBACK = Address()
WAIT_S = 30.0


def options(data: Path, actor: str = BEATING, **more: object) -> Options:
    return Options(
        data=data,
        http=more.pop("http", LOOPBACK),  # type: ignore[arg-type]
        nats=LOOPBACK,
        environment=dict(os.environ),
        actor_command=[sys.executable, "-c", actor],
        prepare_command=[sys.executable, "-c", "pass"],
        policy=Policy(restarts_max=2, delay_first_s=0.01),
        **more,  # type: ignore[arg-type]
    )


@asynccontextmanager
async def launched(chosen: Options) -> AsyncIterator[Path]:
    """A launcher that has got to `ready`; its data folder."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(Launcher(chosen).run(stop), name="launcher")
        await until(lambda: running.done() or ready(chosen.data))
        try:
            yield chosen.data
        finally:
            stop.set()


def ready(data: Path) -> bool:
    run = runfile.read(data)
    return run is not None and len(run.processes) + len(run.quarantined) == 9


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.02)


def now(data: Path) -> runfile.Run:
    run = runfile.read(data)
    assert run is not None
    return run


class TestSupervision:
    async def test_an_actor_that_never_starts_is_quarantined_and_the_rest_serves(self, tmp_path: Path) -> None:
        async with launched(options(tmp_path, BROKEN_ARIA)) as data:
            assert now(data).quarantined == ["aria"]
            assert set(now(data).processes) == {"launcher", "nats", "postgres", "redis", "memory", "nexus", "ricardo", "gateway"}

    @pytest.mark.parametrize("name", ["nexus", "nats", "postgres", "redis"])
    async def test_what_is_killed_is_started_again_where_it_was(self, tmp_path: Path, name: str) -> None:
        async with launched(options(tmp_path)) as data:
            before = now(data)
            os.kill(before.processes[name], signal.SIGKILL)
            await until(lambda: now(data).processes[name] != before.processes[name])
            assert (now(data).nats, now(data).postgres, now(data).redis) == (before.nats, before.postgres, before.redis)

    async def test_an_actor_whose_loop_stands_still_is_replaced(self, tmp_path: Path) -> None:
        async with launched(options(tmp_path)) as data:
            before = now(data).processes["nexus"]
            os.kill(before, signal.SIGSTOP)
            await until(lambda: now(data).processes["nexus"] != before)


class TestSettingsThatDoNotFit:
    async def test_an_actor_that_says_so_ends_the_start_with_its_own_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(ActorMisconfigured, match=r"^memory: another space$"):
            await Launcher(options(tmp_path, MISFIT)).run(asyncio.Event())
        assert runfile.read(tmp_path) is None


class TestLogs:
    async def test_one_that_is_written_without_end_begins_anew_and_one_before_is_kept(self, tmp_path: Path) -> None:
        bytes_max = 20_000
        async with launched(options(tmp_path, WORDY, log_file_bytes_max=bytes_max)) as data:
            written, kept = data / "logs" / "nexus.log", data / "logs" / "nexus.old"
            await until(lambda: kept.exists() and 0 < written.stat().st_size < kept.stat().st_size)
            await until(lambda: written.stat().st_size > bytes_max)  # it is still written
            await until(lambda: written.stat().st_size < bytes_max)
            assert kept.read_bytes().startswith(b"x" * 9_999)


class TestStop:
    async def test_nothing_is_left(self, tmp_path: Path) -> None:
        async with launched(options(tmp_path)) as data:
            pids = [pid for name, pid in now(data).processes.items() if name != "launcher"]
        assert not [pid for pid in pids if psutil.pid_exists(pid)]
        assert runfile.read(tmp_path) is None
