"""The embedded servers are real, loopback only, and survive being killed."""

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import nats
import psutil
import pytest
import redis.asyncio

from cerebro.address import Address
from cerebro.embedded.child import Identity, ServerFailed, spawn
from cerebro.embedded.nats import NatsServer, is_recent
from cerebro.embedded.postgres import PostgresServer
from cerebro.embedded.readiness import page
from cerebro.embedded.settings import NatsServerSettings


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


class TestFixtures:
    async def test_nats_has_jetstream(self, nats_url: str) -> None:
        client = await nats.connect(nats_url)
        assert (await client.jetstream().account_info()).limits is not None
        await client.close()

    async def test_a_bare_database_is_empty_and_has_pgvector_to_offer(self, bare_database: str) -> None:
        connection = await asyncpg.connect(bare_database)
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        await connection.execute("CREATE EXTENSION vector")
        await connection.close()

    async def test_redis_evicts_what_was_used_least_recently(self, redis_url: str) -> None:
        client = redis.asyncio.from_url(redis_url)
        assert await client.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
        await client.aclose()


class TestNats:
    async def test_what_was_acknowledged_is_there_after_kill_9(self, tmp_path: Path) -> None:
        server = NatsServer(tmp_path / "nats", tmp_path / "nats.log")
        await server.start()
        client = await nats.connect(server.url)
        await client.jetstream().add_stream(name="KEPT", subjects=["kept"])
        acknowledged = await client.jetstream().publish("kept", b"1")
        os.kill(server.pid, signal.SIGKILL)
        await server.wait()
        await server.start()
        assert (await client.jetstream().get_msg("KEPT", acknowledged.seq)).data == b"1"
        await client.close()
        await server.stop()

    async def test_it_writes_to_disk_before_it_acknowledges(self, tmp_path: Path) -> None:
        server = NatsServer(tmp_path / "nats", tmp_path / "nats.log")
        await server.start()
        await server.stop()
        assert 'sync_interval: "always"' in (tmp_path / "nats" / "nats.conf").read_text()

    async def test_its_health_is_behind_a_path_that_nobody_is_told(self, tmp_path: Path) -> None:
        server = NatsServer(tmp_path / "nats", tmp_path / "nats.log")
        await server.start()
        assert [(await page(server._monitor, path))[0] for path in ("/healthz", "/connz", f"/{server._path}/healthz")] == [404, 404, 200]
        assert stat.S_IMODE((tmp_path / "nats").stat().st_mode) == 0o700  # its configuration says it
        await server.stop()

    async def test_it_is_told_how_much_memory_it_may_take(self, tmp_path: Path) -> None:
        server = NatsServer(tmp_path / "nats", tmp_path / "nats.log", own=NatsServerSettings(memory_bytes_max=100 * 2**20))
        await server.start()
        _, told = await page(server._monitor, f"/{server._path}/varz")
        assert json.loads(told)["gomemlimit"] == 100 * 2**20
        await server.stop()

    async def test_a_port_in_use_is_a_failure_that_shows_the_log(self, nats_url: str, tmp_path: Path) -> None:
        second = NatsServer(tmp_path / "nats", tmp_path / "nats.log", Address.parse(nats_url.removeprefix("nats://")))
        with pytest.raises(ServerFailed, match="address already in use"):
            await second.start()

    @pytest.mark.parametrize(
        ("version", "recent"), [("2.9.10", False), ("2.11.4", False), ("2.12.0", True), ("2.15.1", True), ("3.0.0-RC.1", True)]
    )
    def test_versions_before_2_12_are_too_old(self, version: str, recent: bool) -> None:
        assert is_recent(version) is recent


class TestPostgres:
    async def test_what_was_committed_is_there_after_kill_9(self, tmp_path: Path) -> None:
        server = PostgresServer(tmp_path / "postgres", tmp_path / "postgres.log")
        await server.start()
        connection = await asyncpg.connect(server.url)
        await connection.execute("CREATE TABLE kept AS SELECT 1 AS number")
        os.kill(server.pid, signal.SIGKILL)
        await server.wait()
        await server.start()
        again = await asyncpg.connect(server.url)
        assert await again.fetchval("SELECT number FROM kept") == 1
        await again.close()
        connection.terminate()
        await server.stop()

    async def test_the_id_of_a_dead_server_given_to_another_process_does_not_keep_it_from_starting(self, tmp_path: Path) -> None:
        server = PostgresServer(tmp_path / "postgres", tmp_path / "postgres.log")
        await server.start()
        lock = (tmp_path / "postgres" / "postmaster.pid").read_text()
        await server.stop()
        (tmp_path / "postgres" / "postmaster.pid").write_text(lock.replace(str(server.pid), str(os.getppid()), 1))
        await server.start()
        await server.stop()

    async def test_it_asks_for_the_password(self, postgres_dsn: str) -> None:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(postgres_dsn, password="wrong")

    async def test_its_password_is_readable_by_its_owner_only(self, postgres_dsn: str, servers_folder: Path) -> None:
        assert stat.S_IMODE((servers_folder / "postgres.password").stat().st_mode) == 0o600

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
    @pytest.mark.parametrize(("first", "second"), [("nobody", "namespace"), ("namespace", "nobody")])
    async def test_root_may_run_it_either_way_on_the_same_data(self, open_folder: Path, first: Identity, second: Identity) -> None:
        for identity in (first, second):
            server = PostgresServer(open_folder / "postgres", open_folder / "postgres.log", identity=identity)
            await server.start()
            await server.stop()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
    async def test_a_folder_that_only_root_may_enter_is_named_where_namespaces_are_forbidden(self, open_folder: Path) -> None:
        open_folder.chmod(0o700)
        with pytest.raises(PermissionError, match=f"may not enter {open_folder}"):
            await PostgresServer(open_folder / "postgres", open_folder / "postgres.log", identity="nobody").start()


class TestLeash:
    @pytest.mark.skipif(sys.platform != "linux", reason="other kernels send nothing when a parent dies")
    def test_a_child_dies_with_its_parent(self, tmp_path: Path) -> None:
        parent = (
            "import asyncio, os, pathlib, signal, sys; from cerebro.embedded.child import spawn\n"
            f"child = asyncio.run(spawn(['/bin/sleep', '600'], pathlib.Path({str(tmp_path / 'log')!r})))\n"
            "print(child.pid, flush=True); sys.stdin.readline(); os.kill(os.getpid(), signal.SIGKILL)"
        )
        with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as launcher:
            assert launcher.stdout is not None
            child = psutil.Process(int(launcher.stdout.readline()))
            launcher.communicate("go\n")
        gone, _ = psutil.wait_procs([child], timeout=5)
        assert gone or child.status() == psutil.STATUS_ZOMBIE

    async def test_a_program_that_is_not_there_is_status_127(self, tmp_path: Path) -> None:
        child = await spawn(["/no/such/program"], tmp_path / "log")
        assert await child.wait() == 127
        assert "No such file" in (tmp_path / "log").read_text()
