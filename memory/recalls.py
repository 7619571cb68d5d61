"""What was recalled: how often an episode was among the first answers to a search, and when last.

Counted in memory and written down in the background, some seconds' worth at a time. What is not written when the process
ends, or has no room, is lost; it is only a sign of how important an episode has become (see retention.py), and no part of
what can be made again from the log.
"""

import asyncio
import logging
from collections import Counter
from datetime import UTC, datetime
from typing import Final

from bus.errors import Unavailable
from memory.database import Database, statement
from memory.settings import MemorySettings
from schemas.memory import SearchRequest, SearchResults

log = logging.getLogger("cerebro.memory")

COUNT: Final = statement("count_recalls")
RECALLED_MAX: Final = 10
"""Only so many first answers of a search count as recalled."""
PENDING_MAX: Final = 10_000
"""Most episodes whose recalls wait to be written down; those of others are not counted meanwhile."""
CONCEPT: Final = "concept"


class Recalls:
    """`note` what a search found; `run` writes it down."""

    def __init__(self, database: Database, settings: MemorySettings) -> None:
        self._database = database
        self._settings = settings
        self._pending: Counter[str] = Counter()

    def note(self, asked: SearchRequest, found: SearchResults) -> None:
        """Count the first answers. Who looks at the past recalls nothing."""
        if asked.as_of is not None:
            return
        for hit in found.results[:RECALLED_MAX]:
            if hit.kind != CONCEPT and (hit.id in self._pending or len(self._pending) < PENDING_MAX):
                self._pending[hit.id] += 1

    async def run(self) -> None:
        """Write down, for ever; while PostgreSQL is away, wait for it."""
        while True:
            await asyncio.sleep(self._settings.recalls_every_s)
            try:
                await self.write(datetime.now(UTC))
            except Unavailable as e:
                log.debug("recalls wait: %s", e)

    async def write(self, now: datetime) -> None:
        """Write down what was counted so far. Raises `Unavailable`; then it is lost, or not: it is not counted twice."""
        counted, self._pending = self._pending, Counter()
        if counted:
            ids = sorted(counted)  # in one order, so that two processes do not wait for each other
            await self._database.once(COUNT, ids, [counted[ident] for ident in ids], now)
