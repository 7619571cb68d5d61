"""Recall: what an agent asks the memory actor, over the bus. Where memory is away, the answer says so instead of failing."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from bus import subjects
from bus.connection import Bus
from bus.errors import CerebroError, Refused
from schemas.continuity import Continuity, ContinuityRequest
from schemas.memory import Await, ById, EpisodeView, SearchHit, SearchRequest
from schemas.words import LIST_LEN_MAX, Receipt

log = logging.getLogger("cerebro.agents")

TIMEOUT_S = 2.0
"""Longest wait for memory; a mind judges without it rather than too late."""
BEHIND_S_MAX = 10.0
"""Longest wait for memory to come to an entry of the log."""


class Recalled(msgspec.Struct, frozen=True):
    """What came back; `complete` is False where memory did not answer, `missing` are ids that it does not hold."""

    hits: list[SearchHit] = []
    episodes: list[EpisodeView] = []
    missing: list[str] = []
    complete: bool = True


class Noted:
    """The ids of what entered one piece of work, each once, the first `LIST_LEN_MAX` of them."""

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}

    def take(self, ids: Iterable[str]) -> None:
        """Note these."""
        self._ids.update(dict.fromkeys(ids))

    @property
    def ids(self) -> Sequence[str]:
        """All that was noted, in order."""
        return tuple(self._ids)

    def receipt(self) -> Receipt:
        """What was noted, as a vote or a result tells it; where nothing was, it says nothing."""
        return list(self._ids)[:LIST_LEN_MAX] or msgspec.UNSET


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

    async def continuity(self, agent: str, after: str) -> Continuity | None:
        """What memory knows of `agent` once it has the event `after`, and with it all that stands before it in the log.

        None where memory does not answer, or does not come to it within `BEHIND_S_MAX`.
        """
        try:
            awaited = await self._bus.ask(
                subjects.MEMORY_AWAIT, Await(id=after, timeout_s=BEHIND_S_MAX), timeout_s=BEHIND_S_MAX + TIMEOUT_S
            )
            if not awaited.persisted:
                log.warning("memory is more than %g s behind the log", BEHIND_S_MAX)
                return None
            told: Continuity = await self._bus.ask(subjects.MEMORY_CONTINUITY, ContinuityRequest(agent_id=agent), timeout_s=TIMEOUT_S)
        except CerebroError as e:
            log.info("no continuity without memory: %s", e)
            return None
        return told


class NotingRecall(Recall):
    """Recall for one task: what comes back is noted, but for what only tells of the task itself."""

    def __init__(self, bus: Bus, noted: Noted, task_id: str) -> None:
        super().__init__(bus)
        self._noted = noted
        self._task_id = task_id

    async def search(self, query: str, **filters: Any) -> Recalled:
        recalled = await super().search(query, **filters)
        self._noted.take(hit.id for hit in recalled.hits if hit.action_details.get("task") != self._task_id)
        return recalled

    async def episodes(self, ids: list[str]) -> Recalled:
        recalled = await super().episodes(ids)
        self._noted.take(e.episode_id for e in recalled.episodes)
        return recalled
