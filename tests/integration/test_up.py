"""`cerebro up`, the real one: from nothing to ready, and through every way of dying."""

import asyncio
import os
import signal
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import asyncpg
import httpx
import pytest

from cerebro import runfile
from tests.integration.launched import STOP_S, UP, Up, alive, until

NAMES = {"launcher", "nats", "postgres", "redis", "memory", "nexus", "aria", "ricardo", "gateway"}


class TestReady:
    def test_every_part_is_a_process_of_its_own(self, up: Up) -> None:
        assert set(up.run.processes) == NAMES
        assert len(set(up.run.processes.values())) == len(NAMES)
        assert all(alive(pid) for pid in up.run.processes.values())

    def test_a_line_says_where(self, up: Up) -> None:
        lines = up.output.read_text().splitlines()
        started = [line for line in lines if " ended (" not in line]  # a part that a test ended is told behind it
        assert started[-1] == f"ready {up.run.http}"

    def test_the_gateway_serves_there(self, up: Up) -> None:
        assert httpx.get(f"{up.run.http}/health", timeout=10).status_code == 200

    def test_a_second_one_on_the_same_data_says_where_the_first_is_and_leaves(self, up: Up) -> None:
        second = subprocess.run([*UP, "--data", up.data], capture_output=True, text=True, timeout=30, check=False)
        assert second.returncode == 1
        assert f"already running on {up.data}: {up.run.http}" in second.stderr

    @pytest.mark.parametrize("option", ["--http", "--nats"])
    def test_a_port_in_use_is_named_with_its_option(self, tmp_path: Path, option: str) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as taken:
            port = taken.getsockname()[1]
            refused = subprocess.run(
                [*UP, "--data", tmp_path, option, f"127.0.0.1:{port}"], capture_output=True, text=True, timeout=30, check=False
            )
        assert refused.returncode == 1
        assert f"cannot listen on 127.0.0.1:{port} (Address already in use)" in refused.stderr
        assert option in refused.stderr


class TestRestart:
    @pytest.mark.parametrize("name", sorted(NAMES - {"launcher"}))
    def test_what_was_killed_is_back_and_run_json_knows(self, up: Up, name: str) -> None:
        before = up.run
        os.kill(before.processes[name], signal.SIGKILL)
        until(lambda: up.run.processes[name] != before.processes[name])
        assert (up.run.http, up.run.nats, up.run.postgres, up.run.redis) == (before.http, before.nats, before.postgres, before.redis)
        until(lambda: healthy(up.run.http))


def healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


class TestEnd:
    def test_sigterm_ends_everything_in_time_and_the_next_start_goes_on_where_it_was(self, tmp_path: Path) -> None:
        first = Up(tmp_path / "data").wait_until_ready()
        processes = first.run.processes
        asyncio.run(execute(first.run.postgres, "CREATE TABLE kept AS SELECT 1 AS number"))
        assert first.stop() < STOP_S
        assert first.process.returncode == 0
        assert not [name for name, pid in processes.items() if alive(pid)]
        assert runfile.read(first.data) is None
        second = Up(tmp_path / "data").wait_until_ready()
        asyncio.run(execute(second.run.postgres, "SELECT number FROM kept"))
        second.stop()

    def test_kill_9_of_the_launcher_leaves_nothing_that_blocks_the_next_start(self, tmp_path: Path) -> None:
        first = Up(tmp_path / "data").wait_until_ready()
        processes = first.run.processes
        asyncio.run(execute(first.run.postgres, "CREATE TABLE kept AS SELECT 1 AS number"))
        first.kill()
        second = Up(tmp_path / "data").wait_until_ready()
        assert not [name for name, pid in processes.items() if alive(pid)]
        asyncio.run(execute(second.run.postgres, "SELECT number FROM kept"))
        second.stop()

    def test_ctrl_c_while_starting_leaves_nothing(self, tmp_path: Path) -> None:
        starting = Up(tmp_path / "data")
        until(lambda: "nats" in starting.output.read_text())
        processes = starting.run.processes
        starting.process.send_signal(signal.SIGINT)
        assert starting.process.wait(timeout=STOP_S) == 0
        assert not [name for name, pid in processes.items() if alive(pid)]


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()
