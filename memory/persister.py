"""The persister: works off the log, and every well-formed entry becomes an episode, exactly once in effect.

What waits is one transaction: rows, everything derived from them, position. Only when it is committed is anything acknowledged, so
whatever dies in between is delivered again, and the event id keeps it from becoming a second row. While one batch is committed
the next is read, and the one before is settled: PostgreSQL is the slowest, and should not wait for the others.

    well-formed          a row, then Ack
    `….timer`            Ack: a schedule, not an event
    malformed            Terminal: this is the only consumer that buries it
    refused by value     its batch is halved until it stands alone, then Terminal; the others are in
    id known, other content  Terminal: the first stays
    forgotten before     Ack: no row, and the eraser empties its place
    PostgreSQL away      nothing is acknowledged; the batch waits in hand until it is back
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, TypeVar

from bus import subjects
from bus.cancelling import heed
from bus.connection import Bus
from bus.delivery import Ack, Outcome, Terminal, settle
from bus.errors import CerebroError, Unavailable
from bus.log import Delivery, Durable
from memory.arrivals import Arrivals
from memory.batch import Batch, Settled, in_portions
from memory.database import RAISED, Connection, Database, refused_reason
from memory.episode_row import EpisodeRow
from memory.episodes import known_contents
from memory.fold import Fold
from memory.positions import PERSISTER, advance
from memory.settings import MemorySettings
from memory.tally import Tally
from schemas.memory import Changed

log = logging.getLogger("cerebro.memory")

T = TypeVar("T")

CONSUMER: Final = "memory"
"""Name of the durable consumer, and of the dead letters' subject."""
PIECE_LEN_MAX: Final = 100
"""Most entries that are worked on without a pause: the next statement of the commit under way waits no longer than that."""
AHEAD_MAX: Final = 2
"""Most that is read ahead of the batch that is being committed, in batches."""
UNSETTLED_MAX: Final = 1
"""Most committed batches that wait to be settled behind the one that is; then the next is not committed."""

Line = asyncio.Queue[Batch]
"""Where pieces wait to be committed, and batches to be settled, in the order of the log."""


class Persister:
    """Three stages over the durable consumer `memory`. `announce` is called after each commit, before anything is acknowledged."""

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
        """Persist, for ever: while a batch is committed, the next is read and made rows of, and the one before is settled.

        What is on its way when this ends is delivered again, from the first that was not settled on.
        """
        read, committed = Line(AHEAD_MAX * self._settings.batch_len_max // self._piece_len), Line(UNSETTLED_MAX)
        async with asyncio.TaskGroup() as stages:
            stages.create_task(self._read(read), name="persister reads")
            stages.create_task(self._commit(read, committed), name="persister commits")
            stages.create_task(self._settle(committed), name="persister settles")

    async def _read(self, read: Line) -> None:
        durable = Durable(
            self._bus,
            name=CONSUMER,
            filters=(),
            batch_max=self._settings.batch_len_max,
            piece_max=self._piece_len,
            ack_wait_s=self._settings.ack_wait_s,
            in_order=True,
        )
        async for piece in durable:
            self._tally.add(piece)
            await read.put(Batch.of(piece))
            await asyncio.sleep(0)  # so that an answer of PostgreSQL is heeded before the next piece

    async def _commit(self, read: Line, committed: Line) -> None:
        while True:
            pieces = [await read.get()]
            room = self._settings.batch_len_max - self._piece_len
            while sum(len(piece.rows) for piece in pieces) <= room and not read.empty():
                pieces.append(read.get_nowait())
            batch = Batch.joined(pieces)
            await self._persist(batch)
            await committed.put(batch)

    async def _settle(self, committed: Line) -> None:
        while True:
            batch = await committed.get()
            await self._tell(batch.fresh)
            await self._settle_all(batch)
            heed()  # a dead letter is a request to the server, and those may lose it

    async def _persist(self, batch: Batch) -> None:
        """Commit a batch, in as many transactions as it takes. Does not raise while PostgreSQL is away."""
        for rows in in_portions(batch.rows, self._settings.batch_len_max, self._settings.batch_bytes_max):
            await self._persisted(batch, rows)
        last = batch.last
        if last not in batch.settled or isinstance(batch.settled[last], Terminal):
            await self._pass_over(last)

    async def _pass_over(self, seq: int) -> None:
        """Move the position to an entry that became no row, so that it does not look as if something were left to do."""
        try:
            async with self._database.transaction() as connection:
                await advance(self._database, connection, PERSISTER, seq, 0)
        except Unavailable as e:
            log.debug("the position stays behind until the next batch: %s", e)

    async def _persisted(self, batch: Batch, rows: Sequence[EpisodeRow]) -> None:
        """Commit these rows of a batch, waiting for PostgreSQL if need be; tell who waits."""
        while True:
            try:
                return await self._committed(batch, rows)
            except Unavailable as e:
                log.warning("%d entries wait: %s", len(rows), e)
                await asyncio.sleep(self._settings.reconnect_pause_s)

    async def _committed(self, batch: Batch, rows: Sequence[EpisodeRow]) -> None:
        try:
            taken, settled = await self._transacted(rows)
        except RAISED as e:
            if (reason := refused_reason(e)) is None:
                raise
            await self._halved(batch, rows, reason)
        else:
            batch.settled |= settled
            batch.fresh += [row for row in rows if row.stream_seq in taken]
            self._arrivals.persisted(row.episode_id for row in rows)
            self._announce()

    async def _halved(self, batch: Batch, rows: Sequence[EpisodeRow], reason: str) -> None:
        if len(rows) == 1:
            batch.settled[rows[0].stream_seq] = Terminal(reason)
            return
        middle = len(rows) // 2
        await self._persisted(batch, rows[:middle])
        await self._persisted(batch, rows[middle:])

    async def _transacted(self, rows: Sequence[EpisodeRow]) -> tuple[set[int], Settled]:
        """One transaction. Returns the places of the new rows, and how each of `rows` ended."""
        async with self._database.transaction() as connection:
            taken = await self._fold.take(connection, rows)
            settled = await self._compared(connection, rows, taken)
            await advance(self._database, connection, PERSISTER, rows[-1].stream_seq, len(taken))
        return taken, settled

    async def _compared(self, connection: Connection, rows: Sequence[EpisodeRow], taken: set[int]) -> Settled:
        """Rows that were not new are fine if their content is the known one, or forgotten."""
        settled: Settled = {row.stream_seq: Ack() for row in rows}
        again = [row for row in rows if row.stream_seq not in taken]
        if again:
            known = await known_contents(self._database, connection, [row.episode_id for row in again])
            for row in again:
                first = known.get(row.episode_id)
                if first is not None and first.content_hash != row.content_hash:
                    settled[row.stream_seq] = Terminal(
                        f"event id {row.episode_id} stands at sequence {first.stream_seq} with other content; the first stays"
                    )
        return settled

    async def _tell(self, rows: Sequence[EpisodeRow]) -> None:
        try:
            async for piece in _pieces(rows, self._piece_len):
                for row in piece:
                    changed = changed_by(row)
                    await self._bus.notify(subjects.CHANGED, changed, agent=row.agent_id, kind=changed.kind)
        except CerebroError as e:
            log.info("nobody was told of what was committed: %s", e)

    async def _settle_all(self, batch: Batch) -> None:
        """What cannot be settled now is delivered again after the acknowledgement time, and does no harm then.

        Each message by itself: acknowledging only the last of a batch would save a fiftieth of the processor time, and would lose an
        entry that never arrived.
        """
        async for piece in _pieces(batch.deliveries, self._piece_len):
            for delivery in piece:
                await self._settle_one(delivery, batch.settled.get(delivery.entry.seq, Ack()))

    async def _settle_one(self, delivery: Delivery, outcome: Outcome) -> None:
        if isinstance(outcome, Terminal):
            log.warning("sequence %d is buried: %s", delivery.entry.seq, outcome.reason)
        try:
            await settle(self._bus, delivery, outcome)
        except CerebroError as e:
            log.warning("sequence %d could not be settled, it will come again: %s", delivery.entry.seq, e)


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
