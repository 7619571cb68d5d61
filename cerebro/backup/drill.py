"""The drill: would this backup bring everything back? Tried beside the running mesh, which goes on meanwhile."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from bus.connection import Bus
from cerebro.backup import manifest
from cerebro.backup.restoring import restore_tables
from memory.hashes import State
from memory.main import projections
from memory.rebuild import Report, verify_from
from memory.scratch import scratch
from memory.settings import MemorySettings


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """How it went: which tables were not what the backup says, what the tail of the log made of them, and how long each took."""

    broken: list[str]
    replayed: Report
    restore_s: float
    replay_s: float

    @property
    def good(self) -> bool:
        return not self.broken and self.replayed.equal


async def drill(folder: Path, bus: Bus, memory: MemorySettings, tell: Callable[[str], None]) -> Drill:
    """Restore the tables into a scratch database, replay the log from there, and compare with the live tables at one position.

    Raises `Broken`, 409, `Unavailable`.
    """
    kept = manifest.verified(folder)
    began = time.monotonic()
    async with scratch(memory, lambda dsn: restore_tables(folder, msgspec.structs.replace(memory, postgres_dsn=dsn), kept)) as built:
        restored = time.monotonic()
        tell(f"{sum(kept.rows.values())} rows restored in {restored - began:.1f} s")
        async with built.connection() as connection:
            found = await State(built, connection, 1).hashes()
        broken = [name for name, known in kept.hashes.items() if found[name].hash != known]
        began = time.monotonic()
        report = await verify_from(bus, memory, projections, built, kept.position)
        return Drill(broken=broken, replayed=report, restore_s=restored - began, replay_s=time.monotonic() - began)
