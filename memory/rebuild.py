"""The rebuild: derived memory made again from the log, to be compared with the live tables or to take their place.

`verify` folds into a scratch database and changes nothing. It compares at one position: what a snapshot of the live database holds
when the persister stands at `end`, and what the fold of the log up to `end` holds; the mesh goes on meanwhile.

`rebuild` folds into the live database, in one transaction: the rows of the log's range are deleted and folded in again, and who reads
sees the old ones until the new ones are committed. The persister waits. If anything fails, nothing has happened.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import msgspec

from bus.connection import Bus
from bus.errors import conflict
from memory.database import QUERIES, Connection, Database, Statement, statement
from memory.derived import DERIVED, Derived
from memory.fold import Fold, Projection
from memory.hashes import Difference, State, TableHash, differences
from memory.positions import REBUILD, advance, persisted_seq
from memory.refold import Refold
from memory.same_log import another, episode_bounds
from memory.scratch import alone, opened, patient, scratch
from memory.settings import MemorySettings

STOP: Final = statement("stop_advancing")
KEEP: Final = (statement("keep_places"), statement("keep_vectors"))
"""What the log does not say but hangs on rows that are made again, put aside until the end of the transaction."""
LOST: Final = statement("lost_places")
RESTORE: Final = (statement("restore_vectors"),)
EMPTY: Final = (QUERIES / "empty_derived.sql").read_text()

COMPARISONS_MAX: Final = 3
"""How often a difference is looked at again: something may be half done, as an entry that is erased from the log already and not yet
from the tables."""
COMPARISON_PAUSE_S: Final = 1.0
DIFFERENCES_MAX: Final = 10
"""Most differences named, of each table."""

MakeProjections = Callable[[Database], Sequence[Projection]]


class Compared(msgspec.Struct, frozen=True):
    """A table before and after."""

    table: str
    live: TableHash
    rebuilt: TableHash

    @property
    def equal(self) -> bool:
        return self.live.hash == self.rebuilt.hash


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was rebuilt: the entries from `first_seq` to `end_seq`."""

    first_seq: int
    end_seq: int
    whole: bool
    """Whether the log still reaches back to everything that memory holds."""
    entries: int
    refused: int
    tables: Sequence[Compared]
    passed_over: Sequence[str] = ()
    """Tables that could not be compared, because their rows rest on more than the log still holds."""
    differences: Sequence[Difference] = ()

    @property
    def equal(self) -> bool:
        return all(table.equal for table in self.tables)


async def verify(bus: Bus, settings: MemorySettings, projections: MakeProjections, pause_s: float = COMPARISON_PAUSE_S) -> Report:
    """Compare the live tables with what the log says they should hold. Changes nothing.

    Raises a 409 where the log is not the one that memory persisted, a 422 where no scratch database may be made, `Unavailable`.
    """
    async with scratch(settings) as built:
        return await _verify(bus, settings, built, Refold(bus, Fold(built, projections(built)), built.transaction, settings), pause_s)


async def verify_from(bus: Bus, settings: MemorySettings, projections: MakeProjections, built: Database, position: int) -> Report:
    """As `verify`, with a database that holds already what the log said up to `position`, and perhaps no longer says."""
    refold = Refold(bus, Fold(built, projections(built)), built.transaction, settings)
    refold.begin_after(position)
    return await _verify(bus, settings, built, refold, COMPARISON_PAUSE_S)


async def _verify(bus: Bus, settings: MemorySettings, built: Database, refold: Refold, pause_s: float) -> Report:
    async with opened(patient(settings, settings.postgres_dsn)) as live:
        async with live.connection() as connection:
            await refold.to(await _end(bus, live, connection))
        for _ in range(COMPARISONS_MAX - 1):
            if (report := await _compared(bus, live, built, refold)).equal:
                return report
            await asyncio.sleep(pause_s)
        return await _compared(bus, live, built, refold)


async def _compared(bus: Bus, live: Database, built: Database, refold: Refold) -> Report:
    async with live.connection() as seen, seen.transaction(isolation="repeatable_read", readonly=True):
        end = await _end(bus, live, seen)
        await refold.to(end)
        whole = await _whole(live, seen, refold.first_seq)
        async with built.connection() as made:
            states = State(live, seen, refold.first_seq), State(built, made, refold.first_seq)
            tables = [table for table in DERIVED if table.comparable(whole=whole)]
            before, after = [await state.hashes(tables) for state in states]
            compared = [Compared(table.name, before[table.name], after[table.name]) for table in tables]
            found = [d for table, c in zip(tables, compared, strict=True) if not c.equal for d in await _named(table, c, *states)]
    passed_over = [table.name for table in DERIVED if table not in tables]
    return _report(refold, end, compared, passed_over, found, whole=whole)


async def _named(table: Derived, compared: Compared, live: State, rebuilt: State) -> list[Difference]:
    """The first differences of a table."""
    a, b = compared.live.buckets, compared.rebuilt.buckets
    found: list[Difference] = []
    async for difference in differences(table, live, rebuilt, [n for n in sorted(a.keys() | b.keys()) if a.get(n) != b.get(n)]):
        found.append(difference)
        if len(found) == DIFFERENCES_MAX:
            break
    return found


async def rebuild(bus: Bus, settings: MemorySettings, projections: MakeProjections) -> Report:
    """Make the derived tables again from the log, in the place of what they hold of its range. Raises as `verify` does."""
    async with alone(settings), opened(patient(settings, settings.postgres_dsn)) as live, live.transaction() as connection:
        await live.run(connection, STOP)
        end = await _end(bus, live, connection)
        refold = Refold(bus, Fold(live, projections(live)), partial(_savepoint, connection), settings)
        before: dict[str, TableHash] = {}
        async for entries in refold.portions(end):
            if not before:
                before = await State(live, connection, refold.first_seq).hashes()
                await _rewind(live, connection, refold.first_seq)
            await refold.take(entries)
        after = await State(live, connection, refold.first_seq).hashes()
        if before:
            await _nothing_lost(live, connection, refold.refused)
            for restore in RESTORE:
                await live.run(connection, restore)
            await advance(live, connection, REBUILD, end, 1)
        whole = await _whole(live, connection, refold.first_seq)
    return _report(refold, end, [Compared(name, before[name], after[name]) for name in before], whole=whole)


@asynccontextmanager
async def _savepoint(connection: Connection) -> AsyncIterator[Connection]:
    async with connection.transaction():
        yield connection


async def _rewind(database: Database, connection: Connection, first_seq: int) -> None:
    """Back to where nothing of the log's range had come yet, children before parents. What the log no longer holds stays."""
    for keep in KEEP:
        await database.run(connection, keep)
    for table in reversed(DERIVED):
        if table.seq is not None:
            sql = EMPTY.replace("{table}", f"memory_system.{table.name}").replace("{seq}", table.seq)
            await database.run(connection, Statement("empty_derived", sql), first_seq)
    for table in DERIVED:
        if table.rewind:
            await database.run(connection, statement(table.rewind), first_seq)


async def _nothing_lost(database: Database, connection: Connection, refused: Sequence[int]) -> None:
    lost = [record["stream_seq"] for record in await database.run(connection, LOST, refused)]
    if lost:
        raise conflict(f"PostgreSQL refuses now what it once took: entries {lost[:DIFFERENCES_MAX]}; nothing was changed")


async def _end(bus: Bus, live: Database, connection: Connection) -> int:
    """How far the log is persisted. Raises a 409 where this log is not the one that was."""
    if reason := await another(bus, live, connection):
        raise conflict(f"{reason}: it is another log, and nothing was touched")
    return await persisted_seq(live, connection)


async def _whole(live: Database, connection: Connection, first_seq: int) -> bool:
    known = await episode_bounds(live, connection)
    return known is None or known["oldest"] >= first_seq


def _report(
    refold: Refold,
    end: int,
    compared: Sequence[Compared],
    passed_over: Sequence[str] = (),
    found: Sequence[Difference] = (),
    *,
    whole: bool,
) -> Report:
    return Report(
        first_seq=refold.first_seq,
        end_seq=end,
        whole=whole,
        entries=refold.entries,
        refused=len(refold.refused),
        tables=compared,
        passed_over=passed_over,
        differences=found,
    )
