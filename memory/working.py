"""Working memory: what a session has in mind, until its time is over. PostgreSQL is the truth, Redis a copy of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec

from bus.errors import not_found
from memory.cache import Cache
from memory.database import Database, Statement, statement
from memory.episode_row import storable
from memory.episodes import decoded
from schemas.forgetting import ForgetRequest
from schemas.memory import Deleted, WorkingFilter, WorkingKey, WorkingList, WorkingPut, WorkingView
from schemas.words import rfc3339

PUT: Final = statement("put_working")
GET: Final = statement("get_working")
LIST: Final = statement("list_working")
DELETE: Final = statement("delete_working")
SWEEP: Final = statement("sweep_working")
ERASE: Final = statement("erase_working")

GRAVE_TTL_S: Final = 60.0
"""How long a deleted item's version stays in the cache: longer than any read that began before."""


class WorkingMemory:
    """Put, get, list, delete. The answers are the same with and without Redis."""

    def __init__(self, database: Database, cache: Cache) -> None:
        self._database = database
        self._cache = cache

    async def put(self, asked: WorkingPut) -> WorkingView:
        """Keep an item for `ttl_s` seconds from now, over the one of before. Raises `Unavailable`."""
        asked = msgspec.convert(storable(msgspec.to_builtins(asked)), WorkingPut)
        context = msgspec.json.encode(asked.context_data).decode()
        record = await self._write(PUT, asked.session_id, asked.key, asked.agent_id, context, asked.tags, asked.ttl_s)
        assert record is not None, "an upsert returns its row"
        return await self._copied(record)

    async def get(self, asked: WorkingKey) -> WorkingView:
        """The item. Raises a 404 where there is none, or its time is over; `Unavailable`."""
        asked = storable_key(asked)
        if (copy := await self._cache.get_version(_cache_key(asked.session_id, asked.key))) is not None:
            view = msgspec.json.decode(copy, type=WorkingView | None)
            if view is not None and (view.session_id, view.key) == (asked.session_id, asked.key):
                return view
        record = await self._database.row(GET, asked.session_id, asked.key)
        if record is None:
            raise _unknown(asked)
        return await self._copied(record)

    async def list(self, asked: WorkingFilter) -> WorkingList:
        """Items newest first. Raises `Unavailable`."""
        session = storable(asked.session_id)
        records = await self._database.rows(LIST, session, asked.agent_id, asked.limit)
        return WorkingList(items=[_view(r) for r in records])

    async def delete(self, asked: WorkingKey) -> tuple[Deleted, str | None]:
        """Forget an item: whether there was one whose time was not over, and whose it was. Raises `Unavailable`."""
        asked = storable_key(asked)
        record = await self._write(DELETE, asked.session_id, asked.key)
        if record is None:
            return Deleted(deleted=False), None
        await self._cache.put_version(_cache_key(asked.session_id, asked.key), record["version"], b"null", GRAVE_TTL_S)
        return Deleted(deleted=record["alive"]), record["agent_id"]

    async def forget(self, asked: ForgetRequest) -> int:
        """Erase the items of an agent, a session or a tag, those whose time is over too; return how many. Raises `Unavailable`."""
        records = await self._written(ERASE, asked.agent_id, asked.session_id, asked.tag)
        await self._cache.forget([_cache_key(r["session_id"], r["context_key"]) for r in records])
        return len(records)

    async def sweep(self, len_max: int) -> int:
        """Delete up to `len_max` items whose time is over; return how many. Their copies expire by themselves."""
        return len(await self._database.rows(SWEEP, len_max))

    async def _write(self, asked: Statement, *values: Any) -> asyncpg.Record | None:
        rows = await self._written(asked, *values)
        return rows[0] if rows else None

    async def _written(self, asked: Statement, *values: Any) -> Sequence[asyncpg.Record]:
        """Write to PostgreSQL. Where that fails it may have happened: no copy is believed any more."""
        try:
            return await self._database.once(asked, *values)
        except BaseException:
            self._cache.distrust("a write may have happened")
            raise

    async def _copied(self, record: asyncpg.Record) -> WorkingView:
        view = _view(record)
        key = _cache_key(view.session_id, view.key)
        await self._cache.put_version(key, record["version"], msgspec.json.encode(view), record["remaining_s"])
        return view


def storable_key(asked: WorkingKey) -> WorkingKey:
    """The key as `put` stored it."""
    return msgspec.convert(storable(msgspec.to_builtins(asked)), WorkingKey)


def _cache_key(session_id: str, key: str) -> str:
    """The specification's pattern. Two pairs can share one (`a:b`, `c` and `a`, `b:c`), so a copy says whose it is."""
    return f"working_memory:{session_id}:{key}"


def _view(record: asyncpg.Record) -> WorkingView:
    expiry: datetime = record["expiry_time"]
    return WorkingView(
        session_id=record["session_id"],
        key=record["context_key"],
        agent_id=record["agent_id"],
        context_data=decoded(record["context_data"]),
        tags=record["tags"],
        created_at=rfc3339(record["created_at"]),
        expires_at=rfc3339(expiry),
    )


def _unknown(asked: WorkingKey) -> Exception:
    return not_found(f"no item {asked.key!r} in the working memory of session {asked.session_id!r}")
