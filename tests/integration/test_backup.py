"""Backups of a living mesh: whole, checked, tried out, and put back into an empty place."""

import asyncio
import json
import os
import random
import shutil
import stat
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bus.connection import Bus
from bus.errors import CerebroError
from cerebro.backup import manifest, streams
from cerebro.backup.command import until
from cerebro.backup.drill import drill
from cerebro.backup.manifest import Broken
from cerebro.backup.restoring import restore, restore_tables
from cerebro.backup.taking import old, take
from memory.settings import MemorySettings
from tests.integration.launched import Up
from tests.integration.rest import client, eventually, get, post
from tests.integration.test_rebuild import actor, bus, bus_settings, fetch, hashes, history, lived, persisted_up_to, publish, run, settings

__all__ = ["bus", "bus_settings", "settings"]  # the fixtures of a mesh whose log and database are this test's own


HELD_BY = (
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'memory_system' ORDER BY indexname",
    """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'memory_system'::regnamespace ORDER BY 1, 2""",
    "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2",
    """SELECT attrelid::regclass::text, attname, attnotnull, attidentity, attgenerated FROM pg_attribute JOIN pg_class ON oid = attrelid
    WHERE relnamespace = 'memory_system'::regnamespace AND relkind = 'r' AND attnum > 0 ORDER BY 1, 2""",
)
"""What holds the tables together, and what they are made of."""


def quiet(_: str) -> None:
    """Nobody listens."""


@pytest_asyncio.fixture
async def taken(bus: Bus, settings: MemorySettings, tmp_path: Path) -> AsyncIterator[Path]:
    """A backup of a mesh that has lived, and whose keys are in `tmp_path`."""
    await lived(bus, settings)
    keys = tmp_path / "data" / "keys"
    keys.mkdir(parents=True)
    (keys / "nexus.nk").write_text("SEED")
    environment = {"CEREBRO_LOG_LEVEL": "INFO", "CEREBRO_MEMORY_EMBEDDING_API_KEY": "secret", "HOME": "/"}
    yield await take(bus, settings, tmp_path / "data", tmp_path / "backups", environment, quiet)


class TestTaking:
    async def test_it_is_whole_and_its_owners_alone(self, taken: Path, bus: Bus) -> None:
        kept = manifest.verified(taken)
        assert kept.position == kept.log_last_seq > 0
        assert kept.streams == ["MESH", "TIMERS", "LESSONS", "DEAD", "KV_idempotency", "KV_keys", "KV_a2a_push"]
        assert kept.log_incarnation == await bus.log_incarnation()
        assert kept.rows["episodes"] > 0
        assert {"keys/nexus.nk", "settings.json", "redis.jsonl.zst", "log/MESH.tar.s2"} <= kept.files.keys()
        modes = {stat.S_IMODE((taken / name).stat().st_mode) for name in kept.files}
        assert modes == {0o600}

    async def test_settings_are_kept_without_secrets(self, taken: Path) -> None:
        told = json.loads((taken / "settings.json").read_text())
        assert told == {"CEREBRO_LOG_LEVEL": "INFO", "CEREBRO_MEMORY_EMBEDDING_API_KEY": None}

    @pytest.mark.parametrize("how", ["flipped", "cut", "gone", "added"])
    async def test_whatever_was_changed_is_named(self, taken: Path, how: str) -> None:
        file = taken / "postgres" / "episodes.copy.zst"
        data = file.read_bytes()
        match how:
            case "flipped":
                file.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
            case "cut":
                file.write_bytes(data[:-1])
            case "gone":
                file.unlink()
            case "added":
                (taken / "postgres" / "more").write_text("")
        with pytest.raises(Broken, match="postgres/more is not of it" if how == "added" else "postgres/episodes"):
            manifest.verified(taken)

    async def test_one_that_fails_leaves_nothing(self, bus: Bus, settings: MemorySettings, tmp_path: Path) -> None:
        import msgspec

        nowhere = msgspec.structs.replace(settings, postgres_dsn="postgresql://127.0.0.1:1/none")
        with pytest.raises(CerebroError):
            await take(bus, nowhere, None, tmp_path / "backups", {}, quiet)
        assert list((tmp_path / "backups").iterdir()) == []

    @pytest.mark.parametrize("stands_still", [None, "after the first", "before the last"])
    async def test_a_log_that_comes_in_several_pieces_comes_back_whole(
        self, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stands_still: str | None
    ) -> None:
        """What fits into one piece ends without a word; what does not, with the status that all was sent. A server to which the next
        piece does not come for five seconds has let go of the stream, or made one of what it had: it is sent again.
        """
        sent = [bytes(random.Random(n).choices(b"0123456789abcdef", k=300_000)) for n in range(12)]
        for n, data in enumerate(sent):
            await bus.js.publish(bus.wire(f"memory.episode.agent-{n}"), data)
        state = await streams.save(bus, "MESH", tmp_path)
        assert state is not None
        assert (tmp_path / "MESH.tar.s2").stat().st_size > 2 * streams.CHUNK_BYTES
        await bus.api(f"STREAM.DELETE.{bus.stream('MESH')}", {})
        pieces = -(-(tmp_path / "MESH.tar.s2").stat().st_size // streams.CHUNK_BYTES)
        send, pauses = streams._send, {None: [], "after the first": [0, 7], "before the last": [0] * (pieces - 1) + [7]}[stands_still]

        async def slowly(*arguments: Any) -> bytes:
            await asyncio.sleep(pauses.pop(0) if pauses else 0)
            return await send(*arguments)

        monkeypatch.setattr(streams, "_send", slowly)
        await streams.load(bus, "MESH", tmp_path)
        kept = [(await bus.js.get_msg(bus.stream("MESH"), seq)).data for seq in range(1, len(sent) + 1)]
        assert (kept == sent, state["messages"]) == (True, len(sent))


class TestRestoring:
    async def test_the_tables_are_those_of_a_new_database(self, taken: Path, settings: MemorySettings, postgres_dsn: str) -> None:
        """What was taken off them while they were filled stands there again: keys, indexes, triggers, what must not be null."""
        target = await self.database(settings, postgres_dsn)
        before = [await fetch(settings.postgres_dsn, sql) for sql in HELD_BY]
        await restore_tables(taken, target, manifest.verified(taken))
        assert [await fetch(target.postgres_dsn, sql) for sql in HELD_BY] == before
        assert all(before)
        await self.gone(target, postgres_dsn)

    async def test_one_that_fails_leaves_the_database_empty(self, taken: Path, settings: MemorySettings, postgres_dsn: str) -> None:
        kept = manifest.verified(taken)
        other = type(kept)(**{f: getattr(kept, f) for f in kept.__struct_fields__} | {"rows": kept.rows | {"episodes": 1}})
        target = await self.database(settings, postgres_dsn)
        with pytest.raises(CerebroError, match="episodes took COPY"):
            await restore_tables(taken, target, other)
        await restore_tables(taken, target, kept)
        await self.gone(target, postgres_dsn)

    async def test_into_an_empty_place_it_is_the_same_mesh(
        self, taken: Path, bus: Bus, settings: MemorySettings, nats_url: str, postgres_dsn: str, redis_url: str
    ) -> None:
        """The log of this test's prefix is deleted first, as if its disk were gone; the tables go into a new database."""
        before = await hashes(settings)
        kept = manifest.read(taken)
        for name in (*kept.streams, "KV_affect", "KV_presence"):
            bucket = name.removeprefix("KV_")
            await bus.api(f"STREAM.DELETE.{'KV_' if bucket != name else ''}{bus.stream(bucket)}", {})
        target = await self.database(settings, postgres_dsn)
        await restore(taken, manifest.verified(taken), bus.settings, target, quiet)
        assert await hashes(target) == before
        again = await Bus.connect(bus.settings, "again")
        try:
            assert await again.log_incarnation() == kept.log_incarnation
            async with actor(bus.settings, target):
                last = await publish(again, history(random.Random("later"), 3, "later"))
                await persisted_up_to(again, last)
            assert last > kept.log_last_seq
        finally:
            await again.close()
        assert (await fetch(target.postgres_dsn, "SELECT count(*) FROM memory_system.episodes"))[0][0] > kept.rows["episodes"]
        await self.gone(target, postgres_dsn)

    async def test_the_logs_tail_becomes_memory_again(self, taken: Path, bus: Bus, settings: MemorySettings, postgres_dsn: str) -> None:
        """Everything after the backup is still on the log, and only PostgreSQL was lost: nothing is."""
        async with actor(bus.settings, settings):
            last = await publish(bus, history(random.Random("tail"), 5, "tail"))
            await persisted_up_to(bus, last)
        target = await self.database(settings, postgres_dsn)
        await restore(taken, manifest.verified(taken), bus.settings, target, quiet, keep_log=True)
        assert await hashes(target) != await hashes(settings)
        async with actor(bus.settings, target):
            async with asyncio.timeout(30):
                while await hashes(target) != await hashes(settings):
                    await asyncio.sleep(0.1)
        await self.gone(target, postgres_dsn)

    async def test_not_over_what_is_there(self, taken: Path, bus: Bus, settings: MemorySettings) -> None:
        with pytest.raises(CerebroError, match="cannot be restored"):
            await restore(taken, manifest.verified(taken), bus.settings, settings, quiet)
        with pytest.raises(CerebroError, match="the database has a schema"):
            await restore(taken, manifest.verified(taken), bus.settings, settings, quiet, keep_log=True)

    async def test_not_beside_another_log(self, taken: Path, bus: Bus, settings: MemorySettings) -> None:
        kept = manifest.read(taken)
        manifest.write(taken, type(kept)(**{f: getattr(kept, f) for f in kept.__struct_fields__} | {"log_incarnation": "other"}))
        with pytest.raises(CerebroError, match="the log is another"):
            await restore(taken, manifest.verified(taken), bus.settings, settings, quiet, keep_log=True)

    async def database(self, settings: MemorySettings, postgres_dsn: str) -> MemorySettings:
        import msgspec

        name = settings.postgres_dsn.rpartition("/")[2] + "_restored"
        await run(postgres_dsn, f"CREATE DATABASE {name}")
        return msgspec.structs.replace(settings, postgres_dsn=f"{postgres_dsn.rpartition('/')[0]}/{name}")

    async def gone(self, target: MemorySettings, postgres_dsn: str) -> None:
        await run(postgres_dsn, f"DROP DATABASE {target.postgres_dsn.rpartition('/')[2]} WITH (FORCE)")


class TestDrill:
    async def test_while_the_mesh_goes_on(self, taken: Path, bus: Bus, settings: MemorySettings) -> None:
        async with actor(bus.settings, settings):
            writing = asyncio.create_task(publish(bus, history(random.Random("load"), 40, "load")))
            done = await drill(taken, bus, settings, quiet)
            last = await writing
            await persisted_up_to(bus, last)
            after = await drill(taken, bus, settings, quiet)
        assert (done.good, after.good) == (True, True), (done, after)
        assert after.replayed.end_seq >= last
        assert after.replayed.entries > 0

    async def test_tables_that_were_touched_since_are_found(self, taken: Path, bus: Bus, settings: MemorySettings) -> None:
        await run(settings.postgres_dsn, "UPDATE memory_system.episodes SET content = 'forged' WHERE episode_id = 'h-episode0-3'")
        done = await drill(taken, bus, settings, quiet)
        assert (done.good, done.broken) == (False, [])
        assert [c.table for c in done.replayed.tables if not c.equal] == ["episodes"]


class TestOld:
    def test_older_than_asked_goes_but_never_the_newest(self, tmp_path: Path) -> None:
        now = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)
        for days in (40, 31, 29, 1):
            place = tmp_path / (now - timedelta(days=days)).strftime("%Y%m%dT%H%M%SZ")
            place.mkdir()
            (place / manifest.NAME).write_text("{}")
        (tmp_path / "20261101T020000Z.unfinished").mkdir()
        (tmp_path / "20261127T015900Z.unfinished").mkdir()
        (tmp_path / "holiday").mkdir()
        assert sorted(path.name for path in old(tmp_path, 30, now)) == [
            "20261018T020000Z", "20261027T020000Z", "20261101T020000Z.unfinished",
        ]  # fmt: skip
        assert [path.name for path in old(tmp_path, 0, now)][-1] == "20261029T020000Z"
        assert old(tmp_path / "none", 30, now) == []

    @pytest.mark.parametrize(
        ("at", "now", "seconds"), [("02:00", "01:00", 3_600), ("02:00", "02:00", 86_400), ("02:00", "03:00", 23 * 3_600)]
    )
    def test_the_next_time_is_today_or_tomorrow(self, at: str, now: str, seconds: float) -> None:
        assert until(at, datetime.fromisoformat(f"2026-11-27T{now}:00+01:00")) == seconds


async def cerebro(*arguments: str, **environment: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cerebro", *arguments, env=os.environ | environment, stdout=PIPE, stderr=PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 100)
    return process.returncode, out.decode() + err.decode()


@pytest.mark.timeout(400)
async def test_by_the_commands_from_a_mesh_to_another_folder(up: Up, tmp_path: Path) -> None:
    """As an operator does it: back up, check, try out; then start what was restored, and find there what was remembered. When only the
    database is lost, what was said after the backup comes back too.
    """
    async with client(up.run.http) as http:
        body = {"action_type": "note", "action_details": {"text": "The spare key lies under the third flower pot."}, "agent_id": "keeper"}
        stored = await post(http, "/memory/action?wait=persisted", body, 201)
    status, said = await cerebro("backup", "--data", str(up.data), "--to", str(tmp_path / "backups"))
    assert status == 0, said
    [folder] = (tmp_path / "backups").iterdir()
    for action in (("verify", str(folder)), ("drill", str(folder)), ("list", "--to", str(tmp_path / "backups"))):
        status, said = await cerebro("backup", *action, "--data", str(up.data))
        assert status == 0, said
    status, said = await cerebro("restore", str(folder), "--data", str(tmp_path / "again"))
    assert status == 0, said
    data = tmp_path / "again"
    with started(data) as again:
        await has(again, stored["episode_id"], body)
        status, said = await cerebro("memory", "rebuild", "--verify", "--data", str(data))
        assert status == 0, said
        async with client(again.run.http) as http:
            later = await post(http, "/memory/action?wait=persisted", body, 201)
    status, said = await cerebro("restore", str(folder), "--data", str(data))
    assert (status, "is there: a backup is restored into an empty place" in said) == (1, True), said
    for name in ("postgres", "redis"):
        shutil.rmtree(data / name)
    status, said = await cerebro("restore", str(folder), "--keep-log", "--data", str(data))
    assert status == 0, said
    with started(data) as again:
        for receipt in (stored, later):
            await has(again, receipt["episode_id"], body)


@contextmanager
def started(data: Path) -> Iterator[Up]:
    up = Up(data)
    try:
        yield up.wait_until_ready()
    finally:
        up.stop()


async def has(up: Up, episode_id: str, body: dict[str, Any]) -> None:
    """The mesh comes to remember this."""
    async with client(up.run.http) as http:

        async def found() -> Any:
            return await get(http, f"/memory/episodic/{episode_id}")

        assert (await eventually(found))["action_details"] == body["action_details"]
