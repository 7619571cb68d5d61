"""Take a backup of a mesh while it runs."""

import os
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from bus import on_disk
from bus.connection import Bus
from bus.errors import Unavailable
from bus.log import bounds
from cerebro.backup import cache, manifest, streams, tables
from cerebro.backup.compressed import OWNER_ONLY, private
from cerebro.backup.manifest import Manifest
from memory.database import RAISED
from memory.derived import DERIVED
from memory.hashes import State
from memory.positions import persisted_seq
from memory.scratch import opened, patient
from memory.settings import MemorySettings
from schemas.words import rfc3339

KEYS: Final = "keys"
"""The folder of keys, in the data folder and in the backup."""
UNFINISHED: Final = ".unfinished"
STAMP: Final = "%Y%m%dT%H%M%SZ"
REVISION: Final = "SELECT version_num FROM memory_system.alembic_version"
SECRET: Final = ("KEY", "DSN", "URL", "PASSWORD")
"""A setting whose name ends so may hold a secret: only its name is kept."""

Tell = Callable[[str], None]


async def take(bus: Bus, memory: MemorySettings, data: Path | None, to: Path, environment: Mapping[str, str], tell: Tell) -> Path:
    """A new backup in the folder `to`; where it is. `data` is the mesh's data folder, where it has one here. Raises `Unavailable`."""
    now = datetime.now(UTC)
    place = to / now.strftime(STAMP)
    unfinished = place.with_name(place.name + UNFINISHED)
    unfinished.mkdir(mode=0o700, parents=True)
    try:
        made = await _fill(bus, memory, unfinished, rfc3339(now), tell)
        _copy_keys(data, unfinished)
        _write_settings(environment, unfinished)
        manifest.write(unfinished, msgspec.structs.replace(made, files=_files(unfinished)))
        on_disk.sync_tree(unfinished)
        unfinished.rename(place)
        on_disk.sync(to)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return place


async def _fill(bus: Bus, memory: MemorySettings, folder: Path, made_at: str, tell: Tell) -> Manifest:
    """The tables first, in one snapshot that stays open: whatever they hold the log, read after them, holds too."""
    async with opened(patient(memory, memory.postgres_dsn)) as database, database.connection() as connection:
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                position = await persisted_seq(database, connection)
                tell(f"tables at entry {position} of the log")
                rows = await tables.save(connection, folder / "postgres")
                state = await State(database, connection, 1).hashes()
                revision = await connection.fetchval(REVISION)
        except RAISED as e:
            raise Unavailable(f"PostgreSQL: {e}") from e
    tell(f"{sum(rows.values())} rows of {len(rows)} tables")
    kept = []
    for name in streams.KEPT:
        if (found := await streams.save(bus, name, folder / "log")) is not None:
            kept.append(name)
            tell(f"stream {name}: {found['messages']} messages, to {found['last_seq']}")
    first, last = await bounds(bus)
    tell(f"{await cache.save(memory.redis_url, bus.settings.prefix, folder)} keys of Redis")
    return Manifest(
        format=manifest.FORMAT,
        version=version("cerebro"),
        made_at=made_at,
        prefix=bus.settings.prefix,
        log_incarnation=await bus.log_incarnation(),
        position=position,
        log_first_seq=first,
        log_last_seq=last,
        revision=revision,
        rows=rows,
        hashes={table.name: state[table.name].hash for table in DERIVED},
        streams=kept,
        files={},
    )


def _copy_keys(data: Path | None, folder: Path) -> None:
    if data is None or not (data / KEYS).is_dir():
        return
    shutil.copytree(data / KEYS, folder / KEYS)
    for path in (folder / KEYS).rglob("*"):
        if path.is_file():
            path.chmod(OWNER_ONLY)


def _write_settings(environment: Mapping[str, str], folder: Path) -> None:
    """The settings that differ from the defaults, for whoever starts the mesh again; secrets are not among them."""
    kept = {name: None if name.endswith(SECRET) else text for name, text in sorted(environment.items()) if name.startswith("CEREBRO_")}
    with private(folder / "settings.json") as descriptor:
        os.write(descriptor, msgspec.json.format(msgspec.json.encode(kept), indent=2) + b"\n")


def _files(folder: Path) -> dict[str, manifest.File]:
    return {name: manifest.hashed(folder / name) for name in manifest.contents(folder)}


def old(to: Path, keep_days: float, now: datetime) -> list[Path]:
    """Backups in this folder that are older than so many days, but never the newest; and what was never finished."""
    whole: list[tuple[datetime, Path]] = []
    gone: list[Path] = []
    for path in sorted(to.iterdir()) if to.is_dir() else []:
        try:
            at = datetime.strptime(path.name.removesuffix(UNFINISHED), STAMP).replace(tzinfo=UTC)
        except ValueError:
            continue
        if path.name.endswith(UNFINISHED):
            gone += [path] if (now - at).days >= 1 else []
        elif (path / manifest.NAME).is_file():
            whole.append((at, path))
    return gone + [path for at, path in sorted(whole)[:-1] if (now - at).total_seconds() > keep_days * 86_400]
