"""The refold: the log, read again from its first entry on in bounded batches, through the fold that the persister uses."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from bus import subjects
from bus.connection import Bus
from bus.errors import Unavailable
from bus.log import bounds, follow
from memory.batch import in_portions, rows_of
from memory.database import RAISED, Connection, refused_reason
from memory.episode_row import EpisodeRow
from memory.fold import Fold
from memory.settings import MemorySettings
from schemas.entry import Entry, Malformed

SILENCE_S_MAX: Final = 30.0
"""Longest wait for the next entries of the log."""

Transaction = Callable[[], AbstractAsyncContextManager[Connection]]


class Refold:
    """Folds the log into a database. Each portion is one of the caller's transactions, or a savepoint in one."""

    def __init__(self, bus: Bus, fold: Fold, transaction: Transaction, settings: MemorySettings) -> None:
        self._bus = bus
        self._fold = fold
        self._transaction = transaction
        self._settings = settings
        self.seq = 0
        """Everything up to here has been read."""
        self.first_seq = 0
        """The first entry that counts: the oldest that the log still held when the reading began; 0 before that."""
        self.entries = 0
        """How many were read."""
        self.refused: list[int] = []
        """Where those stand that PostgreSQL refused, as it should have when they came: they are dead letters, not rows."""

    def begin_after(self, seq: int) -> None:
        """The database holds everything up to this place of the log already."""
        self.seq, self.first_seq = seq, 1

    async def to(self, end: int) -> None:
        """Read on, up to `end` or the end of the log. Raises `Unavailable`, also where entries expire before they are read."""
        async for entries in self.portions(end):
            await self.take(entries)

    async def portions(self, end: int) -> AsyncIterator[list[Entry | Malformed]]:
        """What stands between `seq` and `end`, in the order of the log. `first_seq` is known when the first portion comes."""
        follower = follow(self._bus, subjects.MESH_SUBJECTS, self.seq)
        batches = aiter(follower)
        while self.seq < end and follower.pending != 0:
            try:
                async with asyncio.timeout(SILENCE_S_MAX):
                    batch = await anext(batches)
            except TimeoutError as e:
                raise Unavailable(f"the log said nothing for {SILENCE_S_MAX:g} s") from e
            await self._nothing_expired_unread()
            portion = [entry for entry in batch if self.first_seq <= entry.seq <= end]
            if portion:
                yield portion
                self.entries += len(portion)
            self.seq = min(follower.seq, end)

    async def _nothing_expired_unread(self) -> None:
        """The oldest entries go while we read. Those that went before they were read would be missing without a trace."""
        first, _ = await bounds(self._bus)
        if self.first_seq == 0:
            self.first_seq = first
        elif first > self.seq + 1 and first > self.first_seq:
            raise Unavailable(f"entries before {first} expired while the log was being read; nothing was changed, try again")

    async def take(self, entries: Sequence[Entry | Malformed]) -> None:
        """Fold these in as the persister does: malformed entries are no rows."""
        rows, _ = rows_of(entries)
        for portion in in_portions(rows, self._settings.batch_len_max, self._settings.batch_bytes_max):
            await self._folded(portion)

    async def _folded(self, rows: Sequence[EpisodeRow]) -> None:
        """Fold; where PostgreSQL refuses a value, halve until its entry stands alone, and pass it over."""
        try:
            async with self._transaction() as connection:
                await self._fold.take(connection, rows)
        except RAISED as e:
            if refused_reason(e) is None:
                raise
            if len(rows) == 1:
                self.refused.append(rows[0].stream_seq)
                return
            middle = len(rows) // 2
            await self._folded(rows[:middle])
            await self._folded(rows[middle:])
