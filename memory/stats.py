"""What the memory actor holds and how its parts are: each asked for real, all at the same time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import psutil

from bus.errors import CerebroError, Unavailable
from memory.cache import AWAY, Cache
from memory.database import RAISED, Database, statement
from memory.embedding import Embedding
from memory.holdings import holdings
from memory.positions import PERSISTER, positions
from memory.space_index import is_whole
from memory.spaces import Space
from memory.tally import Tally
from schemas.memory import MemoryStats, PartHealth, StatsRequest

COUNT: Final = statement("count_held")
STORAGE: Final = statement("storage")
CHECKS: Final = {
    "postgresql": statement("check_write"),
    "pgvector": statement("check_pgvector"),
    "working_memory": statement("check_working"),
    "episodic_memory": statement("check_episodic"),
    "semantic_memory": statement("check_semantic"),
    "consolidation_engine": statement("check_consolidation"),
    "continuity_manager": statement("check_continuity"),
    "integrated_graph_memory": statement("check_graph"),
}
"""The part and the statement that only works where the part does."""

WITHOUT: Final = frozenset({"redis", "embedding"})
"""Parts that memory works without: a cache that is away slows answers, and without vectors words find what is remembered."""

Check = Callable[[], Awaitable[str]]


class Stats:
    """`report` answers `memory.stats`, also while PostgreSQL is away: then the counts are 0 and the parts say why. `log_end` tells the
    latest place of the log.
    """

    def __init__(
        self,
        database: Database,
        cache: Cache,
        tally: Tally,
        log_end: Callable[[], Awaitable[int]],
        embedding: Embedding | None = None,
        space: Space | None = None,
    ) -> None:
        self._database = database
        self._tally = tally
        self._log_end = log_end
        self._embedding = embedding
        self._space = space
        self._cache = cache
        self._process = psutil.Process()

    async def report(self, asked: StatsRequest) -> MemoryStats:
        """Counts, sizes, the histogram of every statement, and the health of each part; holdings where they are asked for.

        Raises `Unavailable` where there are to be holdings and PostgreSQL is away.
        """
        counted, parts = await asyncio.gather(self._counted(), self._parts())
        counts, storage, persisted_seq = counted
        unpersisted = await self._unpersisted(persisted_seq)
        if unpersisted and (episodic := parts["episodic_memory"]).status == "healthy":
            parts["episodic_memory"] = msgspec.structs.replace(episodic, detail=f"{unpersisted} entries of the log are not persisted yet")
        return MemoryStats(
            episodes=counts.get("episodes", 0),
            concepts=counts.get("concepts", 0),
            lessons=counts.get("lessons", 0),
            working=counts.get("working", 0),
            unembedded=counts.get("unembedded", 0),
            persisted_seq=persisted_seq or 0,
            unpersisted=unpersisted,
            db_connections=self._database.connections_in_use,
            rss_bytes=self._process.memory_info().rss,
            storage_bytes=storage,
            parts=parts,
            queries=dict(self._database.times()),
            messages=self._tally.counts,
            model_calls=self._tally.model_calls(),
            model_call_times=self._tally.model_call_times(),
            holdings=await holdings(self._database, asked.agent_id) if asked.holdings else None,
        )

    async def _unpersisted(self, persisted_seq: int | None) -> int | None:
        if persisted_seq is None:
            return None
        try:
            return max(0, await self._log_end() - persisted_seq)
        except CerebroError:  # that it cannot be told is what is told
            return None

    async def _counted(self) -> tuple[dict[str, int], dict[str, int], int | None]:
        try:
            known = {p.consumer: p.stream_seq for p in await positions(self._database)}  # first: the counts hold at least as much
            counts = await self._database.row(COUNT)
            storage = {r["name"]: r["bytes"] for r in await self._database.rows(STORAGE)}
        except CerebroError:  # the parts say what is wrong
            return {}, {}, None
        return dict(counts or {}), storage, known.get(PERSISTER, 0)

    async def _parts(self) -> dict[str, PartHealth]:
        checks: dict[str, Check] = {name: self._statement_check(name) for name in CHECKS}
        checks["redis"] = self._ask_redis
        if self._embedding is not None:
            checks["embedding"] = self._look_at_embedding
        results = await asyncio.gather(*(_timed(check) for check in checks.values()))
        parts = dict(zip(checks, results, strict=True))
        for name in WITHOUT & parts.keys():
            if parts[name].status != "healthy":
                parts[name] = PartHealth(status="degraded", latency_ms=parts[name].latency_ms, detail=parts[name].detail)
        return parts

    def _statement_check(self, part: str) -> Check:
        async def check() -> str:
            row = await self._database.row(CHECKS[part])
            if part == "pgvector" and row:
                whole = self._space is None or await is_whole(self._database, self._space)
                return f"pgvector {row['version']}{'' if whole else ', whose index is being made: searches compare every vector'}"
            return str(row["detail"]) if part == "consolidation_engine" and row else ""

        return check

    async def _ask_redis(self) -> str:
        await self._cache.ping()
        return "" if self._cache.trusted else "answers, but is not used until it has been emptied"

    async def _look_at_embedding(self) -> str:
        """The latest that is known of it: to ask an endpoint costs money."""
        assert self._embedding is not None
        if self._embedding.trouble:
            raise Unavailable(self._embedding.trouble)
        return f"{self._embedding.model}, {self._embedding.dimensions} dimensions"


async def _timed(check: Check) -> PartHealth:
    start = time.perf_counter()
    try:
        detail = await check()
    except (*RAISED, CerebroError, *AWAY) as e:
        return PartHealth(status="unhealthy", latency_ms=_since(start), detail=str(e) or type(e).__name__)
    return PartHealth(status="healthy", latency_ms=_since(start), detail=detail)


def _since(start: float) -> float:
    return round((time.perf_counter() - start) * 1000, 3)
