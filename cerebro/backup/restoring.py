"""Put a backup back, into a place that is empty."""

import shutil
from collections.abc import Callable
from pathlib import Path

import asyncpg

from bus import on_disk
from bus import streams as declared
from bus.connection import Bus
from bus.errors import conflict
from bus.log import bounds
from bus.settings import BusSettings
from cerebro.backup import cache, streams, tables
from cerebro.backup.manifest import Manifest
from cerebro.backup.taking import KEYS
from memory import migrations
from memory.settings import MemorySettings

Tell = Callable[[str], None]


async def restore(folder: Path, kept: Manifest, bus: BusSettings, memory: MemorySettings, tell: Tell, *, keep_log: bool = False) -> None:
    """Streams, tables and Redis from a backup that was verified, whose manifest is `kept`. With `keep_log` the log that is there stays,
    and the tables are brought up from it: it must be the one that was backed up.

    Raises 409 where something is there already, `Unavailable`.
    """
    tell(f"{len(kept.files)} files are what was written; made {kept.made_at} at entry {kept.position} of the log")
    if bus.prefix != kept.prefix:
        raise conflict(f"the backup is of a mesh with prefix {kept.prefix!r}, and CEREBRO_BUS_PREFIX is {bus.prefix!r}")
    connection = await Bus.connect(bus, "restore", 10.0)
    try:
        if keep_log:
            await _same_log(connection, kept)
        else:
            for name in kept.streams:
                await streams.load(connection, name, folder / "log")
                tell(f"stream {name}")
        await declared.declare(bus)
        await restore_tables(folder, memory, kept)
        tell(f"{sum(kept.rows.values())} rows of {len(kept.rows)} tables")
        tell(f"{await cache.load(memory.redis_url, folder)} keys of Redis")
    finally:
        await connection.close()


async def restore_tables(folder: Path, memory: MemorySettings, kept: Manifest) -> None:
    """The tables alone, into an empty database, in one transaction; then the schema of this version. Raises as `restore` does."""
    connection = await asyncpg.connect(memory.postgres_dsn)
    try:
        await connection.execute(f"SET maintenance_work_mem = '{memory.index_memory_bytes_max // 1024}kB'")
        await connection.execute(f"SET max_parallel_maintenance_workers = {memory.index_workers_max}")
        async with connection.transaction():
            await tables.fill(connection, kept.revision, kept.rows, folder / "postgres")
        await connection.execute("ANALYZE", timeout=tables.COPY_S)
    finally:
        await connection.close()
    await migrations.apply(memory.postgres_dsn)


def restore_keys(folder: Path, data: Path, *, keep: bool = False) -> None:
    """The keys of the backup into a data folder. Where it has some already they stay with `keep`; else that is a 409."""
    there = (data / KEYS).exists()
    if not (folder / KEYS).is_dir() or (there and keep):
        return
    if there:
        raise conflict(f"{data / KEYS} is there: a backup is restored into an empty place")
    data.mkdir(parents=True, exist_ok=True)
    shutil.copytree(folder / KEYS, data / KEYS)
    on_disk.sync_tree(data / KEYS)
    on_disk.sync(data)


async def _same_log(bus: Bus, kept: Manifest) -> None:
    """Raises 409 where the log is another, or no longer holds everything since the backup."""
    if await bus.log_incarnation() != kept.log_incarnation:
        raise conflict("the log is another than the one that was backed up")
    first, last = await bounds(bus)
    if first > kept.position + 1 or last < kept.position:
        raise conflict(f"the log holds entries {first} to {last}, and the backup's tables end at {kept.position}: restore its log too")
