"""The persister: works off the log, and every well-formed entry becomes an episode, exactly once in effect.

What waits is one transaction: rows, everything derived from them, and the place in the log. The place is kept there and nowhere else, so
whatever dies in between is read again from there on, and the event id keeps it from becoming a second row. While one batch is
committed the next is read, and who cares is told of the one before: PostgreSQL is the slowest, and should not wait for the others. Where
only a few come soon after a transaction began, the next waits a little for more, unless somebody waits for one of them.

    well-formed          a row
    malformed            a dead letter: this is the only reader that buries it
    refused by value     its batch is halved until it stands alone, then a dead letter; the others are in
    id known, other content  a dead letter: the first stays
    forgotten before     no row, and the eraser empties its place
    PostgreSQL away      the batch waits in hand until it is back
    PostgreSQL slow      a batch that is not done in the time of a statement is halved

A dead letter is written before the place moves past its entry.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, TypeVar

from bus import subjects
from bus.connection import Bus
from bus.delivery import bury_entry
from bus.errors import CerebroError, Unavailable
from bus.log import follow
from memory.arrivals import Arrivals
from memory.batch import Batch, Refusal, in_portions
from memory.database import RAISED, Connection, Database, refused_reason
from memory.episode_row import EpisodeRow
from memory.episodes import known_contents
from memory.fold import Fold
from memory.positions import PERSISTER, advance, persisted_seq
from memory.same_log import another
from memory.settings import MemorySettings
from memory.tally import Tally
from schemas.memory import Changed

log = logging.getLogger("cerebro.memory")

T = TypeVar("T")

READER: Final = "memory"
"""Last token of the dead letters' subject."""
PIECE_LEN_MAX: Final = 100
"""Most entries that are worked on without a pause: the next statement of the commit under way waits no longer than that."""
AHEAD_MAX: Final = 2
"""Most that is read ahead of the batch that is being committed, in batches."""
UNTOLD_MAX: Final = 1
"""Most committed batches that wait to be told behind the one that is; then the next is not committed."""

FEW: Final = 100
"""Fewer rows than this are worth a little waiting for more: a transaction costs about as much for them as for one."""

Line = asyncio.Queue[Batch]
"""Where pieces wait to be committed, in the order of the log."""
Told = asyncio.Queue[list[EpisodeRow]]
"""Where new rows wait to be told, a batch at a time."""


class Persister:
    """Three stages over the log. `announce` is called after each commit, before anybody is told."""

    def __init__(
        self,
        bus: Bus,
        database: Database,
        fold: Fold,
        arrivals: Arrivals,
        tally: Tally,
        settings: MemorySettings,
        *,
        announce: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._database = database
        self._fold = fold
        self._arrivals = arrivals
        self._tally = tally
        self._settings = settings
        self._announce = announce
        self._piece_len = min(PIECE_LEN_MAX, settings.batch_len_max)

    async def run(self) -> None:
        """Persist, for ever: while a batch is committed, the next is read and made rows of, and the one before is told.

        What is on its way when this ends is read again.
        """
        read, told = Line(AHEAD_MAX * self._settings.batch_len_max // self._piece_len), Told(UNTOLD_MAX)
        async with asyncio.TaskGroup() as stages:
            stages.create_task(self._read(read), name="persister reads")
            stages.create_task(self._commit(read, told), name="persister commits")
            stages.create_task(self._tell_all(told), name="persister tells")

    async def _read(self, read: Line) -> None:
        async for piece in follow(self._bus, (), await self._start(), piece_max=self._piece_len):
            if piece:
                self._tally.add(piece)
                await read.put(Batch.of(piece))
            await asyncio.sleep(0)  # so that an answer of PostgreSQL is heeded before the next piece

    async def _start(self) -> int:
        """The place behind which there is something to do: where PostgreSQL is, or before everything where the log is another one."""
        while True:
            try:
                async with self._database.connection() as connection:
                    if reason := await another(self._bus, self._database, connection):
                        log.warning("the log is another than the one that was persisted, and is read from its beginning: %s", reason)
                        return 0
                    return await persisted_seq(self._database, connection)
            except CerebroError as e:
                log.warning("the log is not read yet: %s", e)
                await asyncio.sleep(self._settings.reconnect_pause_s)

    async def _commit(self, read: Line, told: Told) -> None:
        """Commit, for ever: what comes after a quiet time at once, many at once, and a few once in `gather_s_max` or as soon as one is
        waited for.
        """
        clock, began = asyncio.get_running_loop().time, float("-inf")
        while True:
            pieces = [await read.get()]
            self._join(pieces, read)
            soonest = began + self._settings.gather_s_max
            if clock() < soonest and sum(len(piece.rows) for piece in pieces) < FEW:
                await self._arrivals.unless_awaited(soonest - clock())
                self._join(pieces, read)
            began = clock()
            await told.put(await self._persist(Batch.joined(pieces)))

    def _join(self, pieces: list[Batch], read: Line) -> None:
        """Put to these pieces what is there, as far as there is room in one transaction."""
        room = self._settings.batch_len_max - self._piece_len
        while sum(len(piece.rows) for piece in pieces) <= room and not read.empty():
            pieces.append(read.get_nowait())

    async def _persist(self, batch: Batch) -> list[EpisodeRow]:
        """Commit a batch, in as many transactions as it takes, and return the rows that were new. Waits while PostgreSQL is away."""
        await self._bury(batch.refused)
        fresh: list[EpisodeRow] = []
        for rows in in_portions(batch.rows, self._settings.batch_len_max, self._settings.batch_bytes_max):
            fresh += await self._persisted(rows)
        if not batch.rows or batch.rows[-1].stream_seq < batch.last:
            await self._pass_over(batch.last)
        return fresh

    async def _pass_over(self, seq: int) -> None:
        """Move the place to an entry that became no row, so that it does not look as if something were left to do."""
        while True:
            try:
                async with self._database.transaction() as connection:
                    return await advance(self._database, connection, PERSISTER, seq, 0)
            except Unavailable as e:
                log.warning("the place waits: %s", e)
                await asyncio.sleep(self._settings.reconnect_pause_s)

    async def _persisted(self, rows: Sequence[EpisodeRow]) -> list[EpisodeRow]:
        """Commit these rows, waiting for PostgreSQL if need be; tell who waits."""
        while True:
            try:
                return await self._committed(rows)
            except Unavailable as e:
                log.warning("%d entries wait: %s", len(rows), e)
                await asyncio.sleep(self._settings.reconnect_pause_s)
                if isinstance(e.__cause__, TimeoutError) and len(rows) > 1:  # so many may never be done in the time of a statement
                    return await self._halves(rows)

    async def _committed(self, rows: Sequence[EpisodeRow]) -> list[EpisodeRow]:
        try:
            taken, contradicting = await self._transacted(rows)
        except RAISED as e:
            if (reason := refused_reason(e)) is None:
                raise
            return await self._halved(rows, reason)
        self._arrivals.persisted(row.episode_id for row in rows)
        self._announce()
        if contradicting:
            await self._bury(contradicting)
            await self._pass_over(rows[-1].stream_seq)
        return [row for row in rows if row.stream_seq in taken]

    async def _halved(self, rows: Sequence[EpisodeRow], reason: str) -> list[EpisodeRow]:
        if len(rows) == 1:
            await self._bury([Refusal(rows[0].entry, reason)])
            await self._pass_over(rows[0].stream_seq)
            return []
        return await self._halves(rows)

    async def _halves(self, rows: Sequence[EpisodeRow]) -> list[EpisodeRow]:
        middle = len(rows) // 2
        return [*await self._persisted(rows[:middle]), *await self._persisted(rows[middle:])]

    async def _transacted(self, rows: Sequence[EpisodeRow]) -> tuple[set[int], list[Refusal]]:
        """One transaction. Returns the places of the new rows, and what contradicts a known one; the place stays before those."""
        async with self._database.transaction() as connection:
            taken = await self._fold.take(connection, rows)
            contradicting = await self._contradicting(connection, [row for row in rows if row.stream_seq not in taken])
            end = contradicting[0].entry.seq - 1 if contradicting else rows[-1].stream_seq
            await advance(self._database, connection, PERSISTER, end, len(taken))
        return taken, contradicting

    async def _contradicting(self, connection: Connection, again: Sequence[EpisodeRow]) -> list[Refusal]:
        """Rows that were not new are fine if their content is the known one, or forgotten; these are the others."""
        if not again:
            return []
        known = await known_contents(self._database, connection, [row.episode_id for row in again])
        return [
            Refusal(row.entry, f"event id {row.episode_id} stands at sequence {first.stream_seq} with other content; the first stays")
            for row in again
            if (first := known.get(row.episode_id)) is not None and first.content_hash != row.content_hash
        ]

    async def _bury(self, refused: Sequence[Refusal]) -> None:
        """Make dead letters of these, waiting for NATS if need be."""
        for refusal in refused:
            log.warning("sequence %d is buried: %s", refusal.entry.seq, refusal.reason)
            while True:
                try:
                    await bury_entry(self._bus, refusal.entry, READER, refusal.reason)
                    break
                except CerebroError as e:
                    log.warning("sequence %d is not buried yet: %s", refusal.entry.seq, e)
                    await asyncio.sleep(self._settings.reconnect_pause_s)

    async def _tell_all(self, told: Told) -> None:
        while True:
            await self._tell(await told.get())

    async def _tell(self, rows: Sequence[EpisodeRow]) -> None:
        try:
            async for piece in _pieces(rows, self._piece_len):
                for row in piece:
                    changed = changed_by(row)
                    await self._bus.notify(subjects.CHANGED, changed, agent=row.agent_id, kind=changed.kind)
        except CerebroError as e:
            log.info("nobody was told of what was committed: %s", e)


async def _pieces(whole: Sequence[T], len_max: int) -> AsyncIterator[Sequence[T]]:
    """`whole` in its order, with a pause behind each piece in which everything else that is ready gets its turn."""
    for at in range(0, len(whole), len_max):
        yield whole[at : at + len_max]
        await asyncio.sleep(0)


def changed_by(row: EpisodeRow) -> Changed:
    """What is told of a row that was committed: a concept by its own id, everything else by the event's."""
    if row.entry.name == subjects.CONCEPT.name:
        return Changed(id=row.entry.tokens["concept"], kind="concept", stream_seq=row.stream_seq)
    return Changed(id=row.episode_id, kind=row.kind, stream_seq=row.stream_seq)
