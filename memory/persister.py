"""The persister: works off the log, and every well-formed entry becomes an episode, exactly once in effect.

A batch of deliveries is one transaction: rows, queue of the embedder, position. Only when it is committed is anything
acknowledged, so whatever dies in between is delivered again, and the event id keeps it from becoming a second row.

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
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Final

import msgspec

from bus import subjects
from bus.connection import Bus
from bus.delivery import Ack, Outcome, Terminal, settle
from bus.errors import CerebroError, Unavailable
from bus.log import Delivery, Durable
from memory.arrivals import Arrivals
from memory.database import RAISED, Connection, Database, refused_reason
from memory.episode_row import EpisodeRow, episode_row
from memory.episodes import known_contents
from memory.fold import Fold
from memory.positions import PERSISTER, advance
from memory.settings import MemorySettings
from schemas.entry import Entry, Malformed
from schemas.memory import Changed

log = logging.getLogger("cerebro.memory")

CONSUMER: Final = "memory"
"""Name of the durable consumer, and of the dead letters' subject."""
UNWRITABLE: Final = (msgspec.MsgspecError, RecursionError, ValueError)
"""What a well-formed but absurd body can raise when it is written again."""

Settled = dict[int, Outcome]
"""How each entry ended, by its place in the log."""


class Persister:
    """One loop over the durable consumer `memory`. `announce` is called after each commit, before anything is acknowledged."""

    def __init__(
        self, bus: Bus, database: Database, fold: Fold, arrivals: Arrivals, settings: MemorySettings, *, announce: Callable[[], None]
    ) -> None:
        self._bus = bus
        self._database = database
        self._fold = fold
        self._arrivals = arrivals
        self._settings = settings
        self._announce = announce

    async def run(self) -> None:
        """Persist, for ever."""
        async for batch in self._deliveries():
            await self.take(batch)

    def _deliveries(self) -> AsyncIterator[list[Delivery]]:
        s = self._settings
        filters = subjects.MESH_SUBJECTS
        durable = Durable(self._bus, name=CONSUMER, filters=filters, batch_max=s.batch_len_max, ack_wait_s=s.ack_wait_s, in_order=True)
        return aiter(durable)

    async def take(self, batch: Sequence[Delivery]) -> None:
        """Bring one batch to its end: committed, then settled. Does not raise while PostgreSQL or NATS is away."""
        rows, settled = rows_of([delivery.entry for delivery in batch])
        for some in in_portions(rows, self._settings.batch_len_max, self._settings.batch_bytes_max):
            settled |= await self._persisted(some)
        last = max(delivery.entry.seq for delivery in batch)
        if last not in settled or isinstance(settled[last], Terminal):
            await self._pass_over(last)
        await self._settle(batch, settled)

    async def _pass_over(self, seq: int) -> None:
        """Move the position to an entry that became no row, so that it does not look as if something were left to do."""
        try:
            async with self._database.transaction() as connection:
                await advance(self._database, connection, PERSISTER, seq, 0)
        except Unavailable as e:
            log.debug("the position stays behind until the next batch: %s", e)

    async def _persisted(self, rows: Sequence[EpisodeRow]) -> Settled:
        """Commit these rows, waiting for PostgreSQL if need be; tell who waits; return how each ended."""
        while True:
            try:
                return await self._committed(rows)
            except Unavailable as e:
                log.warning("%d entries wait: %s", len(rows), e)
                await asyncio.sleep(self._settings.reconnect_pause_s)

    async def _committed(self, rows: Sequence[EpisodeRow]) -> Settled:
        try:
            taken, settled = await self._commit(rows)
        except RAISED as e:
            if (reason := refused_reason(e)) is None:
                raise
            return await self._halved(rows, reason)
        self._arrivals.persisted(row.episode_id for row in rows)
        self._announce()
        await self._tell(row for row in rows if row.stream_seq in taken)
        return settled

    async def _halved(self, rows: Sequence[EpisodeRow], reason: str) -> Settled:
        if len(rows) == 1:
            return {rows[0].stream_seq: Terminal(reason)}
        middle = len(rows) // 2
        return await self._persisted(rows[:middle]) | await self._persisted(rows[middle:])

    async def _commit(self, rows: Sequence[EpisodeRow]) -> tuple[set[int], Settled]:
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

    async def _tell(self, rows: Iterator[EpisodeRow]) -> None:
        try:
            for row in rows:
                changed = changed_by(row)
                await self._bus.notify(subjects.CHANGED, changed, agent=row.agent_id, kind=changed.kind)
        except CerebroError as e:
            log.info("nobody was told of what was committed: %s", e)

    async def _settle(self, batch: Sequence[Delivery], settled: Settled) -> None:
        """What cannot be settled now is delivered again after the acknowledgement time, and does no harm then."""
        for delivery in batch:
            outcome = settled.get(delivery.entry.seq, Ack())
            if isinstance(outcome, Terminal):
                log.warning("sequence %d is buried: %s", delivery.entry.seq, outcome.reason)
            try:
                await settle(self._bus, delivery, outcome)
            except CerebroError as e:
                log.warning("sequence %d could not be settled, it will come again: %s", delivery.entry.seq, e)


def changed_by(row: EpisodeRow) -> Changed:
    """What is told of a row that was committed: a concept by its own id, everything else by the event's."""
    if row.entry.name == subjects.CONCEPT.name:
        return Changed(id=row.entry.tokens["concept"], kind="concept", stream_seq=row.stream_seq)
    return Changed(id=row.episode_id, kind=row.kind, stream_seq=row.stream_seq)


def rows_of(entries: Sequence[Entry | Malformed]) -> tuple[list[EpisodeRow], Settled]:
    """The rows to be persisted, in the order of the log, and how the entries that have none end."""
    rows: list[EpisodeRow] = []
    settled: Settled = {}
    for entry in sorted(entries, key=lambda entry: entry.seq):
        if isinstance(entry, Malformed):
            settled[entry.seq] = Terminal(entry.reason)
        elif entry.name != subjects.TIMER.name:
            try:
                rows.append(episode_row(entry))
            except UNWRITABLE as e:
                settled[entry.seq] = Terminal(f"its body cannot be written again: {type(e).__name__}: {e}")
    return rows, settled


def in_portions(rows: Sequence[EpisodeRow], len_max: int, bytes_max: int) -> list[list[EpisodeRow]]:
    """`rows` in order, cut so that each portion has at most `len_max` rows and `bytes_max` bytes (a larger row goes alone)."""
    portions: list[list[EpisodeRow]] = []
    size = 0
    for row in rows:
        if portions and len(portions[-1]) < len_max and size + row.size_bytes <= bytes_max:
            portions[-1].append(row)
            size += row.size_bytes
        else:
            portions.append([row])
            size = row.size_bytes
    return portions
