"""The two arms of a search, each one statement with all filters in it: BM25 over the words, nearest vectors over the meaning."""

import asyncio
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec

from bus.errors import Unavailable
from memory.database import Database, statement
from memory.embedding import Embedding
from memory.fusion import Arm, Found, Listed
from memory.settings import MemorySettings
from memory.space_index import is_whole
from memory.spaces import Space
from schemas.memory import SearchRequest

TEXT: Final = statement("text_arm")
EXACT: Final = statement("vector_arm_exact")
COUNT: Final = statement("count_candidates")
CORPUS: Final = statement("corpus")

NOTHING: Final = Arm([], full=False)
SEQ_MAX: Final = 2**63 - 1  # of a bigint

COMPARE_S_MAX: Final = 5.0
"""Longest time in which every vector is compared while there is no index."""

COMPARE_AGAIN_S: Final = 30.0
"""Where it took longer it is not tried again for this time."""
TOO_SLOW: Final = "the index of vectors is being made, and to compare every vector takes too long"


class NoIndexYet(Unavailable):
    """The vectors cannot be searched just now: searches go on by text."""


Filters = tuple[Any, ...]
"""Kinds, agent, tags, least importance, since, until, as of a time, as of a log position: the parameters of every arm, in order."""


def filters_of(asked: SearchRequest, pin: int | None) -> Filters:
    """What a search may find. `pin`: the log position that a row of pages is held at."""
    as_of_time = asked.as_of if isinstance(asked.as_of, datetime) else None
    seqs = [seq for seq in (asked.as_of, pin) if isinstance(seq, int)]
    as_of_seq = min(*seqs, SEQ_MAX) if seqs else None
    return (asked.kinds, asked.agent_id, asked.tags, asked.importance_min, asked.since, asked.until, as_of_time, as_of_seq)


class Corpus(msgspec.Struct, frozen=True):
    """How much an agent (or everybody) has to search: passages, the texts they are of, and their terms."""

    passages: int
    texts: int
    terms: int

    @property
    def length(self) -> float:
        """Terms of a passage, on average."""
        return self.terms / self.passages if self.terms else 1.0

    def passages_for(self, texts: int) -> int:
        """About how many passages to list for so many texts."""
        return math.ceil(texts * self.passages / self.texts) if self.texts else texts


Counted = asyncio.Future[Corpus]
"""It is counted once for both arms, while the question is embedded."""


class Arms:
    """`reach` runs those that the mode asks for, at the same time. Without an embedding there is the text arm only."""

    def __init__(self, database: Database, embedding: Embedding | None, space: Space | None, settings: MemorySettings) -> None:
        self._database = database
        self._embedding = embedding
        self._space = space
        self._settings = settings
        self._nearest = statement("vector_arm_nearest", space=space.id, dimensions=space.dimensions) if space else None
        self._indexed = False
        self._compare_at = 0.0

    def begin(self, asked: SearchRequest) -> None:
        """Embed the question already: of all that `reach` has to wait for, it takes longest."""
        if self._embedding is not None and asked.mode != "text":
            self._embedding.begin(asked.query)

    async def reach(self, asked: SearchRequest, filters: Filters, depth: int) -> tuple[Arm, Arm]:
        """The best passages of about `depth` texts by each arm, as what they belong to. Raises `Unavailable`."""
        corpus = asyncio.ensure_future(self._corpus(filters))
        text = self._text(asked.query, filters, depth, corpus) if asked.mode != "vector" else _nothing()
        vector = self._vector(asked.query, filters, depth, corpus) if asked.mode != "text" else _nothing()
        return await asyncio.gather(text, vector)

    async def _corpus(self, filters: Filters) -> Corpus:
        _, agent_id, *_, as_of_time, as_of_seq = filters
        (counted,) = await self._database.rows(CORPUS, agent_id, as_of_time, as_of_seq)
        return Corpus(*counted)

    async def _text(self, query: str, filters: Filters, depth: int, counted: Counted) -> Arm:
        corpus, s = await counted, self._settings
        most = corpus.passages_for(depth)
        weights = (s.bm25_k1, s.bm25_b, float(corpus.passages), corpus.length)
        found = await self._database.rows(TEXT, query, *filters, most, *weights, s.text_terms_max)
        return _arm(found, most)

    async def _vector(self, query: str, filters: Filters, depth: int, counted: Counted) -> Arm:
        """Few candidates are compared one by one: exact, and quicker than an index that must pass over the others. All of them are
        while there is no index, as after a restore.
        """
        if self._embedding is None or self._space is None or self._nearest is None:
            return NOTHING
        vector, are_few = await asyncio.gather(self._embedding.question(query), self._are_few(filters, counted))
        most = (await counted).passages_for(depth)
        indexed = are_few or await self._is_indexed(self._space)
        if indexed and not are_few:
            found = await self._database.rows(self._nearest, vector, *filters, most)
            if len(found) >= most:
                return _arm(found, most)
        asked = (vector, *filters, most, self._space.id)
        return _arm(await (self._database.rows(EXACT, *asked) if indexed else self._compared(asked)), most)

    async def _compared(self, asked: Sequence[Any]) -> list[asyncpg.Record]:
        """The nearest while there is no index. Where that took too long it is not begun again for a while: it takes the index's time."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._compare_at:
            raise NoIndexYet(TOO_SLOW)
        try:
            async with asyncio.timeout(COMPARE_S_MAX):
                return await self._database.rows(EXACT, *asked)
        except TimeoutError:
            self._compare_at = loop.time() + COMPARE_AGAIN_S
            raise NoIndexYet(TOO_SLOW) from None

    async def _is_indexed(self, space: Space) -> bool:
        self._indexed = self._indexed or await is_whole(self._database, space)
        return self._indexed

    async def _are_few(self, filters: Filters, counted: Counted) -> bool:
        """Whether the candidates are few: by what there is at all, or else by counting what the filters leave."""
        corpus, most = await counted, self._settings.exact_len_max
        kinds, _, tags, importance_min, since, until, *_ = filters
        if corpus.passages <= most or ("episode" in kinds and not tags and importance_min is since is until is None):
            return corpus.passages <= most
        (found,) = await self._database.rows(COUNT, *filters, most + 1)
        return bool(found["candidates"] <= most)


async def _nothing() -> Arm:
    return NOTHING


def _arm(records: Sequence[asyncpg.Record], most: int) -> Arm:
    """Passages, best first, as their owners: each once, by its best passage."""
    best: dict[Found, Listed] = {}
    for passage, kind, owner, score in records:
        found = Found(kind, owner)
        if found not in best:
            best[found] = Listed(found, passage, score)
    return Arm(list(best.values()), full=len(records) >= most)
