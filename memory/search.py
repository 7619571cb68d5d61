"""Search: a text arm and a vector arm, each with all filters in its SQL, fused by rank. What has no vector yet is found by text."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec

from bus.errors import refusal
from memory.cache import Cache
from memory.concepts import CONCEPT_AGENT, AsOf, concepts_at
from memory.database import Database, statement
from memory.embedding import Embedding, EmbeddingFailed
from memory.episode_row import storable
from memory.episodes import decoded
from memory.fusion import Found, Fused, fuse
from memory.positions import positions
from memory.settings import MemorySettings
from memory.spaces import Space
from memory.spreading import Spreading
from schemas.memory import Ranks, SearchHit, SearchRequest, SearchResults
from schemas.words import rfc3339

TEXT: Final = statement("text_arm")
EXACT: Final = statement("vector_arm_exact")
COUNT: Final = statement("count_candidates")
EPISODES: Final = statement("episode_hits")

SEQ_MAX: Final = 2**63 - 1  # of a bigint
CONCEPT_TYPE: Final = "concept"
LESSON_KIND: Final = "lesson"
WITHOUT_VECTOR: Final = "the question could not be embedded just now: found by its words only"
"""Said with an answer that would be another if the embedding endpoint were there. It is not kept."""


class Search:
    """`find` answers a question. Without an embedding there is the text arm only."""

    def __init__(
        self, database: Database, cache: Cache, embedding: Embedding | None, space: Space | None, settings: MemorySettings
    ) -> None:
        self._database = database
        self._cache = cache
        self._embedding = embedding
        self._settings = settings
        self._space = space
        self._spreading = Spreading(database, settings)
        self._nearest = statement("vector_arm_nearest", space=space.id, dimensions=space.dimensions) if space else None

    async def find(self, asked: SearchRequest) -> SearchResults:
        """The best `limit` hits, best first; from the cache where nothing has changed since. Raises a 422, `Unavailable`."""
        start = time.perf_counter()
        if asked.mode == "vector" and self._embedding is None:
            raise refusal(422, "this memory has no embedding (CEREBRO_MEMORY_EMBEDDING=none): search by text", path="$.mode")
        asked = msgspec.convert(storable(msgspec.to_builtins(asked)), SearchRequest)
        epoch = self._cache.epoch
        key = await self._key(asked)
        results = await self._cached(key)
        cached, degraded = results is not None, None
        if results is None:
            try:
                results = await self._hits(await self._fused(asked), asked.as_of)
            except EmbeddingFailed:
                if asked.mode == "vector":
                    raise
                in_words = msgspec.structs.replace(asked, mode="text")
                results, degraded = await self._hits(await self._fused(in_words), asked.as_of), WITHOUT_VECTOR
            else:
                await self._cache.put(key, msgspec.json.encode(results), self._settings.search_cache_ttl_s, epoch)
        took_ms = round((time.perf_counter() - start) * 1000, 3)
        return SearchResults(results=results, next_before=None, took_ms=took_ms, cached=cached, degraded=degraded)

    async def _key(self, asked: SearchRequest) -> str:
        """What was asked and the state it was asked of: whatever is committed, changes the key."""
        state = [await positions(self._database), asked, self._space.id if self._space else None]
        return f"cache:search:{hashlib.sha256(msgspec.json.encode(state)).hexdigest()}"

    async def _cached(self, key: str) -> list[SearchHit] | None:
        found = await self._cache.get(key)
        return None if found is None else msgspec.json.decode(found, type=list[SearchHit])

    async def _fused(self, asked: SearchRequest) -> list[Fused]:
        s = self._settings
        depth = max(s.arm_len_min, 2 * asked.limit)
        text, vector = await asyncio.gather(self._text_arm(asked, depth), self._vector_arm(asked, depth))
        weights = {"text_weight": s.fusion_text_weight, "vector_weight": s.fusion_vector_weight}
        fused = fuse(text, vector, k=s.fusion_k, limit=2 * depth, **weights)
        if asked.spread:
            fused = await self._spreading.over(fused, _filters(asked))
        return fused[: asked.limit]

    async def _text_arm(self, asked: SearchRequest, depth: int) -> list[Found]:
        if asked.mode == "vector":
            return []
        return _found(await self._database.rows(TEXT, asked.query, *_filters(asked), depth))

    async def _vector_arm(self, asked: SearchRequest, depth: int) -> list[Found]:
        """Few candidates are compared one by one: exact, and quicker than an index that must pass over the others."""
        if self._embedding is None or self._space is None or self._nearest is None or asked.mode == "text":
            return []
        filters = _filters(asked)
        most = self._settings.exact_len_max
        vector, count = await asyncio.gather(self._embedding.question(asked.query), self._database.rows(COUNT, *filters, most + 1))
        if count[0]["candidates"] > most:
            found = await self._database.rows(self._nearest, vector, *filters, depth)
            if len(found) >= depth:
                return _found(found)
        return _found(await self._database.rows(EXACT, vector, *filters, depth, self._space.id))

    async def _hits(self, fused: Sequence[Fused], as_of: AsOf) -> list[SearchHit]:
        episodes = [f.found.id for f in fused if f.found.kind != CONCEPT_TYPE]
        concepts = [f.found.id for f in fused if f.found.kind == CONCEPT_TYPE]
        shown: dict[tuple[bool, str], dict[str, Any]] = {}
        if episodes:
            shown |= {(False, r["episode_id"]): _episode(r) for r in await self._database.rows(EPISODES, episodes)}
        if concepts:
            shown |= {(True, r["id"]): _concept(r) for r in await concepts_at(self._database, concepts, as_of)}
        keyed = [(f, shown.get((f.found.kind == CONCEPT_TYPE, f.found.id))) for f in fused]
        return [_hit(f, fields) for f, fields in keyed if fields is not None]


def _filters(asked: SearchRequest) -> tuple[Any, ...]:
    """The parameters that every arm has, in their order."""
    as_of_time = asked.as_of if isinstance(asked.as_of, datetime) else None
    as_of_seq = min(asked.as_of, SEQ_MAX) if isinstance(asked.as_of, int) else None
    return (asked.kinds, asked.agent_id, asked.tags, asked.importance_min, asked.since, asked.until, as_of_time, as_of_seq)


def _found(records: Sequence[asyncpg.Record]) -> list[Found]:
    return [Found(r["kind"], r["id"]) for r in records]


def _hit(fused: Fused, fields: dict[str, Any]) -> SearchHit:
    ranks = Ranks(text=fused.text, vector=fused.vector)
    return SearchHit(id=fused.found.id, kind=fused.found.kind, score=fused.score, ranks=ranks, **fields)


def _episode(r: asyncpg.Record) -> dict[str, Any]:
    details = decoded(r["action_details"])
    sources = details.get("source_episodes") if r["kind"] == LESSON_KIND else [r["episode_id"]]
    return {
        "agent_id": r["agent_id"],
        "timestamp": rfc3339(r["timestamp"]),
        "action_type": r["action_type"],
        "text": r["content"],
        "action_details": details,
        "tags": r["tags"],
        "importance_score": r["importance_score"],
        "source_episodes": sources or [],
    }


def _concept(r: asyncpg.Record) -> dict[str, Any]:
    details = {name: r[name] for name in ("concept", "content", "knowledge_type", "source_episodes")}
    return {
        "agent_id": CONCEPT_AGENT,
        "timestamp": rfc3339(r["updated_at"]),
        "action_type": CONCEPT_TYPE,
        "text": f"{r['concept']}: {r['content']}",
        "action_details": details,
        "tags": [],
        "importance_score": r["confidence_score"],
        "source_episodes": r["source_episodes"],
    }
