"""`cerebro verify`, run as an operator runs it, or a stranger who has the public keys."""

import asyncio
import os
import shutil
import stat
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import msgspec

from bus import subjects
from bus.connection import Bus
from bus.log import entries
from memory.database import Database
from memory.main import projections
from memory.rebuild import rebuild
from memory.sealing.keys import kept
from memory.sealing.sealer import Sealer
from memory.settings import MemorySettings
from schemas.entry import Entry
from tests.integration.launched import Up
from tests.integration.test_rebuild import bus, bus_settings, lived, run, settings

__all__ = ["bus", "bus_settings", "settings"]  # the fixtures of a mesh whose log and database are this test's own


async def sealed(bus: Bus, settings: MemorySettings, folder: Path) -> list[Any]:
    """Seal what is persisted; the seals on the log."""
    database = Database(settings)
    await database.open()
    try:
        await Sealer(bus, database, kept(folder), settings).seal()
    finally:
        await database.close()
    return [entry.body for entry in await entries(bus, [subjects.SEAL.wildcard]) if isinstance(entry, Entry)]


async def verified(bus: Bus, settings: MemorySettings, *options: str, log: bool = True) -> tuple[int | None, str, str]:
    environment = os.environ | {"CEREBRO_BUS_PREFIX": bus.settings.prefix, "CEREBRO_POSTGRES_DSN": settings.postgres_dsn}
    if log:
        environment["CEREBRO_NATS_URL"] = bus.settings.nats_url
    command = (sys.executable, "-m", "cerebro", "verify", *options)
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE, stderr=PIPE)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode(), err.decode()


async def test_what_is_whole_and_what_was_touched(bus: Bus, settings: MemorySettings, tmp_path: Path) -> None:
    await lived(bus, settings)
    await sealed(bus, settings, tmp_path / "keys")
    stranger = tmp_path / "public"
    stranger.mkdir()
    for path in (tmp_path / "keys").glob("*.pub.pem"):
        shutil.copy(path, stranger)
    status, out, err = await verified(bus, settings, "--keys", str(stranger))
    assert (status, err) == (0, "")
    assert "history is what was sealed" in out
    await run(settings.postgres_dsn, "UPDATE memory_system.episodes SET content = 'forged' WHERE episode_id = 'h-episode0-3'")
    status, out, _ = await verified(bus, settings, "--keys", str(stranger))
    assert status == 1
    assert "changed: h-episode0-3 is not what was sealed" in out
    assert out.endswith("history is NOT what was sealed\n")


async def test_a_cut_end_shows_by_the_log_or_a_kept_seal(bus: Bus, settings: MemorySettings, tmp_path: Path) -> None:
    await lived(bus, settings)
    [seal] = await sealed(bus, settings, tmp_path)
    copy = tmp_path / "seal.json"
    copy.write_bytes(msgspec.json.encode(seal))
    cut = seal.last_seq - 3
    for table in ("seal_links", "episodes"):
        await run(settings.postgres_dsn, f"DELETE FROM memory_system.{table} WHERE stream_seq > {cut}")
    status, out, _ = await verified(bus, settings, "--keys", str(tmp_path))
    assert (status, "truncated" in out) == (1, True)
    nowhere = ("--keys", str(tmp_path), "--data", str(tmp_path / "none"))
    status, out, _ = await verified(bus, settings, *nowhere, log=False)
    assert (status, "the log was not asked" in out) == (0, True)
    status, out, _ = await verified(bus, settings, *nowhere, "--seal", str(copy), log=False)
    assert (status, "truncated" in out) == (1, True)


async def test_the_chain_stands_over_a_rebuild(bus: Bus, settings: MemorySettings, tmp_path: Path) -> None:
    await lived(bus, settings)
    await sealed(bus, settings, tmp_path)
    await rebuild(bus, settings, projections)
    status, out, _ = await verified(bus, settings, "--keys", str(tmp_path))
    assert status == 0, out


async def test_without_keys_it_says_what_it_needs(bus: Bus, settings: MemorySettings, tmp_path: Path) -> None:
    status, _, err = await verified(bus, settings, "--keys", str(tmp_path))
    assert status == 2
    assert "the public keys of the seals" in err


async def test_a_mesh_that_was_just_started_has_keys_and_a_chain(up: Up) -> None:
    """Its first seal comes with its first events, the next a minute later."""
    command = (sys.executable, "-m", "cerebro", "verify", "--data", str(up.data))
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, err) == (0, b"")
    assert b"history is what was sealed" in out
    hidden = [path for path in (up.data / "keys/seal").iterdir() if not path.name.endswith(".pub.pem")]
    assert [stat.S_IMODE(path.stat().st_mode) for path in hidden] == [0o600, 0o600]
