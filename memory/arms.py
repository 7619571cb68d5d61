"""The two arms of a search, each one statement with all filters in it: BM25 over the words, nearest vectors over the meaning."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from memory.database import Database, statement
from memory.embedding import Embedding
from memory.fusion import Arm, Found, Listed
from memory.settings import MemorySettings
from memory.spaces import Space
from schemas.memory import SearchRequest

TEXT: Final = statement("text_arm")
EXACT: Final = statement("vector_arm_exact")
COUNT: Final = statement("count_candidates")

NOTHING: Final = Arm([], full=False)
SEQ_MAX: Final = 2**63 - 1  # of a bigint

Filters = tuple[Any, ...]
"""Kinds, agent, tags, least importance, since, until, as of a time, as of a log position: the parameters of every arm, in order."""


def filters_of(asked: SearchRequest, pin: int | None) -> Filters:
    """What a search may find. `pin`: the log position that a row of pages is held at."""
    as_of_time = asked.as_of if isinstance(asked.as_of, datetime) else None
    seqs = [seq for seq in (asked.as_of, pin) if isinstance(seq, int)]
    as_of_seq = min(*seqs, SEQ_MAX) if seqs else None
    return (asked.kinds, asked.agent_id, asked.tags, asked.importance_min, asked.since, asked.until, as_of_time, as_of_seq)


class Arms:
    """`reach` runs those that the mode asks for, at the same time. Without an embedding there is the text arm only."""

    def __init__(self, database: Database, embedding: Embedding | None, space: Space | None, settings: MemorySettings) -> None:
        self._database = database
        self._embedding = embedding
        self._space = space
        self._settings = settings
        self._nearest = statement("vector_arm_nearest", space=space.id, dimensions=space.dimensions) if space else None

    async def reach(self, asked: SearchRequest, filters: Filters, depth: int) -> tuple[Arm, Arm]:
        """The best `depth` passages of each arm, as what they belong to. Raises `Unavailable`."""
        text = self._text(asked.query, filters, depth) if asked.mode != "vector" else _nothing()
        vector = self._vector(asked.query, filters, depth) if asked.mode != "text" else _nothing()
        return await asyncio.gather(text, vector)

    async def _text(self, query: str, filters: Filters, depth: int) -> Arm:
        s = self._settings
        return _arm(await self._database.rows(TEXT, query, *filters, depth, s.bm25_k1, s.bm25_b), depth)

    async def _vector(self, query: str, filters: Filters, depth: int) -> Arm:
        """Few candidates are compared one by one: exact, and quicker than an index that must pass over the others."""
        if self._embedding is None or self._space is None or self._nearest is None:
            return NOTHING
        most = self._settings.exact_len_max
        vector, count = await asyncio.gather(self._embedding.question(query), self._database.rows(COUNT, *filters, most + 1))
        if count[0]["candidates"] > most:
            found = await self._database.rows(self._nearest, vector, *filters, depth)
            if len(found) >= depth:
                return _arm(found, depth)
        return _arm(await self._database.rows(EXACT, vector, *filters, depth, self._space.id), depth)


async def _nothing() -> Arm:
    return NOTHING


def _arm(records: Sequence[asyncpg.Record], depth: int) -> Arm:
    """Passages, best first, as their owners: each once, by its best passage."""
    best: dict[Found, Listed] = {}
    for passage, kind, owner, score in records:
        found = Found(kind, owner)
        if found not in best:
            best[found] = Listed(found, passage, score)
    return Arm(list(best.values()), full=len(records) >= depth)
