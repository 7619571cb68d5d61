"""`cerebro memory rebuild`, run as an operator runs it."""

import asyncio
import os
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from bus.connection import Bus
from memory.derived import DERIVED, NOT_DERIVED
from memory.settings import MemorySettings
from tests.integration.launched import Up
from tests.integration.test_rebuild import bus, bus_settings, hashes, lived, run, scratch_databases, settings

__all__ = ["bus", "bus_settings", "settings"]  # the fixtures of a mesh whose log and database are this test's own


async def started(bus: Bus, settings: MemorySettings, *options: str) -> Process:
    environment = os.environ | {
        "CEREBRO_NATS_URL": bus.settings.nats_url,
        "CEREBRO_BUS_PREFIX": bus.settings.prefix,
        "CEREBRO_POSTGRES_DSN": settings.postgres_dsn,
    }
    command = (sys.executable, "-m", "cerebro", "memory", "rebuild", *options)
    return await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE, stderr=PIPE)


async def ended(process: Process) -> tuple[int | None, str, str]:
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode(), err.decode()


async def test_it_says_that_every_table_is_equal(bus: Bus, settings: MemorySettings) -> None:
    last = await lived(bus, settings)
    status, out, err = await ended(await started(bus, settings, "--verify"))
    assert (status, err) == (0, "")
    for table in DERIVED:
        assert any(line.startswith(f"{table.name} ") and line.endswith("  equal") for line in out.splitlines()), out
    assert f"entries 1 to {last} of the log" in out
    assert all(name in out for name in NOT_DERIVED)


async def test_it_says_which_row_differs_and_mends_it(bus: Bus, settings: MemorySettings) -> None:
    await lived(bus, settings)
    whole = await hashes(settings)
    await run(settings.postgres_dsn, "UPDATE memory_system.episodes SET content = 'forged' WHERE episode_id = 'h-episode0-3'")
    status, out, _ = await ended(await started(bus, settings, "--verify"))
    assert status == 1
    assert "DIFFERENT" in out
    assert "[\"h-episode0-3\"] content: the table has 'forged', the log makes" in out
    status, out, _ = await ended(await started(bus, settings))
    assert (status, "mended" in out) == (0, True)
    assert await hashes(settings) == whole


async def test_one_that_is_told_to_end_leaves_no_database_behind(bus: Bus, settings: MemorySettings) -> None:
    await lived(bus, settings)
    process = await started(bus, settings, "--verify")
    while not await scratch_databases(settings.postgres_dsn):
        assert process.returncode is None
    process.send_signal(signal.SIGTERM)
    status, _, err = await ended(process)
    assert (status, "nothing was changed" in err) == (1, True)
    assert await scratch_databases(settings.postgres_dsn) == []


async def test_without_a_mesh_it_says_so(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "cerebro", "memory", "rebuild", "--data", str(tmp_path))
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    status, _, err = await ended(process)
    assert (status, "no mesh runs on" in err) == (1, True)


def test_what_a_running_mesh_has_lived_through_is_equal(up: Up) -> None:
    """Whatever the tests before this one did to it."""
    command = (sys.executable, "-m", "cerebro", "memory", "rebuild", "--verify", "--data", str(up.data))
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
