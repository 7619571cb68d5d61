"""Recall: what an agent asks the memory actor, over the bus. Where memory is away, the answer says so instead of failing."""

import logging
from typing import Any

import msgspec

from bus import subjects
from bus.connection import Bus
from bus.errors import CerebroError, Refused
from schemas.memory import ById, EpisodeView, SearchHit, SearchRequest

log = logging.getLogger("cerebro.agents")

TIMEOUT_S = 2.0
"""Longest wait for memory; a mind judges without it rather than too late."""


class Recalled(msgspec.Struct, frozen=True):
    """What came back; `complete` is False where memory did not answer, `missing` are ids that it does not hold."""

    hits: list[SearchHit] = []
    episodes: list[EpisodeView] = []
    missing: list[str] = []
    complete: bool = True


class Recall:
    """Questions to memory, on behalf of one agent."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def search(self, query: str, **filters: Any) -> Recalled:
        """The episodes, concepts and lessons nearest to `query`, best first; `filters` as in `SearchRequest`."""
        try:
            found = await self._bus.ask(subjects.MEMORY_SEARCH, SearchRequest(query=query[:4000], **filters), timeout_s=TIMEOUT_S)
        except CerebroError as e:
            log.info("recall without memory: %s", e)
            return Recalled(complete=False)
        return Recalled(hits=found.results)

    async def episodes(self, ids: list[str]) -> Recalled:
        """These episodes in full."""
        found, missing, complete = [], [], True
        for ident in ids:
            try:
                found.append(await self._bus.ask(subjects.MEMORY_GET, ById(id=ident), timeout_s=TIMEOUT_S))
            except Refused:
                missing.append(ident)
            except CerebroError as e:
                log.info("recall without memory: %s", e)
                missing.append(ident)
                complete = False
        return Recalled(episodes=found, missing=missing, complete=complete)
