"""Search: words and meaning, each with all filters in its SQL, fused; then what stands beside the hits in their sessions, and, when
asked, in the graph. What has no vector yet is found by its words. The method: docs/recall.md.
"""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from bus.errors import bad_request, refusal
from memory.answers import Answers
from memory.arms import Arms, Filters, NoIndexYet, filters_of
from memory.cache import Cache
from memory.database import Database
from memory.embedding import Embedding, EmbeddingFailed
from memory.episode_row import storable
from memory.fusion import Evidence, alone, fuse, grow, lean, ordered, sources
from memory.hits import shown
from memory.neighbours import neighbours
from memory.pages import Page, read_page, write_page
from memory.positions import PERSISTER, Position, positions
from memory.settings import MemorySettings
from memory.spaces import Space
from memory.spreading import Spreading
from schemas.memory import SearchHit, SearchRequest, SearchResults

DEEPER: Final = 4
"""How many times deeper the arms reach when what they found has all been shown."""
WITHOUT_VECTOR: Final = "the question could not be embedded just now: found by its words only"
"""Said with an answer that would be another if the embedding endpoint were there. It is not kept, and has no further pages."""
WITHOUT_INDEX: Final = "the index of vectors is being made, and to compare them all takes too long: found by its words only"
"""Likewise, if the index were there."""


class Kept(msgspec.Struct, frozen=True):
    """What is kept of an answer."""

    results: list[SearchHit]
    next_before: str | None


class Search:
    """`find` answers a question."""

    def __init__(
        self,
        database: Database,
        cache: Cache,
        embedding: Embedding | None,
        space: Space | None,
        settings: MemorySettings,
    ) -> None:
        self._database = database
        self._answers = Answers(cache, settings)
        self._arms = Arms(database, embedding, space, settings)
        self._space = space
        self._settings = settings
        self._spreading = Spreading(database, settings)

    async def find(self, asked: SearchRequest) -> SearchResults:
        """The best `limit` hits, best first; from the cache where nothing has changed since. Raises a 400, a 422, `Unavailable`."""
        start = time.perf_counter()
        if asked.mode == "vector" and self._space is None:
            raise refusal(422, "this memory has no embedding (CEREBRO_MEMORY_EMBEDDING=none): search by text", path="$.mode")
        asked = msgspec.convert(storable(msgspec.to_builtins(asked)), SearchRequest)
        epoch = self._answers.epoch
        page = self._page(asked)
        self._arms.begin(asked)
        state = await positions(self._database)
        key = self._key(state, asked)
        known, degraded = await self._answers.get(key), None
        if known is not None:
            kept = msgspec.json.decode(known, type=Kept)
        else:
            try:
                kept = await self._found(asked, page, state)
            except (EmbeddingFailed, NoIndexYet) as e:
                if asked.mode == "vector" or asked.before is not None:
                    raise
                kept, degraded = await self._by_words(asked, page, state), _why(e)
            else:
                await self._answers.put(key, msgspec.json.encode(kept), epoch)
        took_ms = round((time.perf_counter() - start) * 1000, 3)
        cached = known is not None
        return SearchResults(results=kept.results, next_before=kept.next_before, took_ms=took_ms, cached=cached, degraded=degraded)

    async def _by_words(self, asked: SearchRequest, page: Page, state: Sequence[Position]) -> Kept:
        kept = await self._found(msgspec.structs.replace(asked, mode="text"), page, state)
        return msgspec.structs.replace(kept, next_before=None)

    def _page(self, asked: SearchRequest) -> Page:
        if asked.before is None:
            return Page(pin=None, depth=max(self._settings.arm_len_min, 2 * asked.limit), passed=0, place=None)
        page = read_page(asked.before)
        if page.depth > max(self._settings.arm_len_max, 2 * asked.limit):
            raise bad_request("this cursor is of another memory, which looked deeper", "$.before")
        return page

    def _key(self, state: Sequence[Position], asked: SearchRequest) -> str:
        """What was asked and the state it was asked of: whatever is committed, changes the key."""
        whole = [state, asked, self._space and self._space.id]
        return f"cache:search:{hashlib.sha256(msgspec.json.encode(whole)).hexdigest()}"

    async def _found(self, asked: SearchRequest, page: Page, state: Sequence[Position]) -> Kept:
        """A page of the ranking. When there is more, the first page is held to what had been persisted before it was made."""
        page, ranked, full = await self._ranking(asked, page)
        rest = [hit for hit in ranked if page.place is None or hit.place > page.place]
        following = self._following(page, rest, asked.limit, full=full)
        hits, persisted = await asyncio.gather(self._shown(asked, page, rest), self._persisted(following))
        if following is not None and following.pin is None:
            pin = _persisted(state)
            if persisted != pin:
                return await self._found(asked, msgspec.structs.replace(page, pin=pin), state)
            following = msgspec.structs.replace(following, pin=pin)
        if following is not None and not rest:
            return await self._found(asked, following, state)
        return Kept(hits, write_page(following) if following is not None else None)

    async def _shown(self, asked: SearchRequest, page: Page, rest: Sequence[Evidence]) -> list[SearchHit]:
        *_, as_of_time, as_of_seq = filters_of(asked, page.pin)
        as_of = as_of_seq if as_of_time is None else as_of_time
        return await shown(self._database, [hit.fused() for hit in rest[: asked.limit]], as_of)

    async def _persisted(self, following: Page | None) -> int | None:
        """How far the log is persisted now that the ranking is made; None where no page is to be held to it."""
        unpinned = following is not None and following.pin is None
        return _persisted(await positions(self._database)) if unpinned else None

    async def _ranking(self, asked: SearchRequest, page: Page) -> tuple[Page, list[Evidence], bool]:
        """The ranking that a page is cut from, and whether the arms could reach deeper; the first page reaches until it is full."""
        filters = filters_of(asked, page.pin)
        ranked, full = await self._ranked(asked, filters, page.depth)
        while full and len(ranked) < asked.limit and page.place is None and not page.passed and self._deeper(page) is not None:
            page = msgspec.structs.replace(page, depth=page.depth * DEEPER)
            ranked, full = await self._ranked(asked, filters, page.depth)
        if page.passed:
            gone = {hit.found for hit in (await self._ranked(asked, filters, page.passed))[0]}
            ranked = [hit for hit in ranked if hit.found not in gone]
        return page, ranked, full

    def _following(self, page: Page, rest: Sequence[Evidence], limit: int, *, full: bool) -> Page | None:
        """The page after this one: the rest of this ranking, or else what lies deeper, without what this ranking had."""
        if len(rest) > limit:
            return msgspec.structs.replace(page, place=rest[limit - 1].place)
        return self._deeper(page) if full else None

    def _deeper(self, page: Page) -> Page | None:
        depth = page.depth * DEEPER
        return Page(page.pin, depth, page.depth, None) if depth <= self._settings.arm_len_max else None

    async def _ranked(self, asked: SearchRequest, filters: Filters, depth: int) -> tuple[list[Evidence], bool]:
        """All hits with arms of this depth, best first; and whether an arm stopped there."""
        s = self._settings
        text, vector = await self._arms.reach(asked, filters, depth)
        if asked.mode == "hybrid":
            hits = fuse(text, vector, text_weight=s.fusion_text_weight, vector_weight=s.fusion_vector_weight)
            beside = await neighbours(self._database, sources(hits, s.neighbour_sources_max), filters, s.neighbour_reach)
            lean(hits, beside, weight=s.neighbour_weight, context_terms=s.neighbour_terms)
        else:
            hits = alone(text, vector)
        if asked.spread:
            after = await self._spreading.over([hit.fused() for hit in ordered(hits)], filters)
            grow(hits, [(hit.found, hit.score) for hit in after])
        return ordered(hits), text.full or vector.full


def _why(missing: EmbeddingFailed | NoIndexYet) -> str:
    return WITHOUT_INDEX if isinstance(missing, NoIndexYet) else WITHOUT_VECTOR


def _persisted(state: Sequence[Position]) -> int:
    return next((p.stream_seq for p in state if p.consumer == PERSISTER), 0)
