"""Working memory answers the same with Redis, without it, and while it comes and goes."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
import redis.asyncio

from bus.errors import Refused
from cerebro.embedded.redis import RedisServer
from memory.cache import Cache
from memory.database import Database, Statement
from memory.working import WorkingMemory
from schemas.memory import WorkingFilter, WorkingKey, WorkingPut

AGE = Statement("test", "UPDATE memory_system.working_memory SET expiry_time = now() - interval '1 second' RETURNING id")


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """A Redis of our own, to be stopped."""
    started = RedisServer(tmp_path / "redis", tmp_path / "redis.log")
    await started.start()
    yield started
    await started.stop()


@pytest_asyncio.fixture
async def cache(server: RedisServer) -> AsyncIterator[Cache]:
    opened = Cache(server.url, "", timeout_s=0.5, retry_s=0.01)
    keeping = asyncio.create_task(opened.keep_trying())
    await trusted(opened)
    yield opened
    keeping.cancel()
    await opened.close()


async def trusted(cache: Cache) -> None:
    while not cache.trusted:
        await asyncio.sleep(0)


@pytest.fixture
def memory(database: Database, cache: Cache) -> WorkingMemory:
    return WorkingMemory(database, cache)


async def answer(memory: WorkingMemory, session: str, key: str) -> Any:
    """The item, or the status of the refusal."""
    try:
        return await memory.get(WorkingKey(session_id=session, key=key))
    except Refused as refused:
        return refused.problem().status


class TestWorkingMemory:
    async def test_what_is_put_is_got_and_stands_in_redis_under_the_patterns_name(self, memory: WorkingMemory, server: RedisServer) -> None:
        put = await memory.put(WorkingPut(session_id="s", key="k", context_data={"a": [1]}, tags=["x"]))
        assert await answer(memory, "s", "k") == put
        client = redis.asyncio.from_url(server.url)
        assert 3_590_000 < await client.pttl("working_memory:s:k") <= 3_600_000
        await client.aclose()

    async def test_a_later_put_replaces_and_a_delete_ends_it(self, memory: WorkingMemory) -> None:
        for n in (1, 2):
            await memory.put(WorkingPut(session_id="s", key="k", context_data={"n": n}))
        assert (await answer(memory, "s", "k")).context_data == {"n": 2}
        assert (await memory.delete(WorkingKey(session_id="s", key="k")))[0].deleted
        assert await answer(memory, "s", "k") == 404
        assert not (await memory.delete(WorkingKey(session_id="s", key="k")))[0].deleted

    async def test_two_pairs_that_share_a_name_in_redis_are_not_confused(self, memory: WorkingMemory) -> None:
        await memory.put(WorkingPut(session_id="a:b", key="c", context_data={"n": 1}))
        await memory.put(WorkingPut(session_id="a", key="b:c", context_data={"n": 2}))
        assert (await answer(memory, "a:b", "c")).context_data == {"n": 1}
        assert (await answer(memory, "a", "b:c")).context_data == {"n": 2}

    async def test_an_expired_item_is_gone_at_once_and_swept_later(
        self, database: Database, memory: WorkingMemory, server: RedisServer
    ) -> None:
        await memory.put(WorkingPut(session_id="s", key="k", context_data={}))
        await database.rows(AGE)
        await server.stop()
        assert await answer(memory, "s", "k") == 404
        assert (await memory.list(WorkingFilter())).items == []
        assert not (await memory.delete(WorkingKey(session_id="other", key="k")))[0].deleted
        assert [await memory.sweep(10), await memory.sweep(10)] == [1, 0]

    async def test_lists_are_newest_first_and_filtered(self, memory: WorkingMemory) -> None:
        for n, (session, agent) in enumerate([("s", "aria"), ("s", "nexus"), ("t", "aria")]):
            await memory.put(WorkingPut(session_id=session, key=f"k{n}", agent_id=agent, context_data={}))

        async def keys(**asked: Any) -> list[str]:
            return [item.key for item in (await memory.list(WorkingFilter(**asked))).items]

        assert await keys() == ["k2", "k1", "k0"]
        assert await keys(session_id="s") == ["k1", "k0"]
        assert await keys(agent_id="aria") == ["k2", "k0"]
        assert await keys(session_id="s", agent_id="aria") == ["k0"]
        assert await keys(limit=1) == ["k2"]

    async def test_nul_is_replaced_and_the_item_is_found_under_the_key_it_was_put_by(self, memory: WorkingMemory) -> None:
        await memory.put(WorkingPut(session_id="s\0", key="k\0", context_data={"x": "\0"}))
        assert (await answer(memory, "s\0", "k\0")).context_data == {"x": "\ufffd"}


async def everything(memory: WorkingMemory) -> list[Any]:
    """Every answer there is about the sessions s and t."""
    items = [await answer(memory, session, key) for session in "st" for key in ("k0", "k1", "k2", "gone", "over")]
    filters = [WorkingFilter(), WorkingFilter(session_id="s"), WorkingFilter(agent_id="aria"), WorkingFilter(limit=2)]
    return items + [await memory.list(asked) for asked in filters]


class TestWithoutRedis:
    async def test_every_answer_is_the_same_to_the_byte_before_and_after_redis_is_stopped(
        self, memory: WorkingMemory, server: RedisServer
    ) -> None:
        await memory.put(WorkingPut(session_id="s", key="over", context_data={}, ttl_s=0.05))
        await memory.put(WorkingPut(session_id="t", key="gone", context_data={}))
        await memory.delete(WorkingKey(session_id="t", key="gone"))
        for n in range(3):
            put = WorkingPut(
                session_id="st"[n % 2], key=f"k{n}", agent_id=["aria", "ricardo"][n % 2], tags=["x"], context_data={"é\0": [n, None]}
            )
            await memory.put(put)
        while await answer(memory, "s", "over") != 404:
            await asyncio.sleep(0)
        first = msgspec.json.encode(await everything(memory))
        assert msgspec.json.encode(await everything(memory)) == first, "from the copies"
        await server.stop()
        assert msgspec.json.encode(await everything(memory)) == first

    async def test_random_work_has_the_same_answers_while_redis_comes_and_goes(
        self, memory: WorkingMemory, cache: Cache, server: RedisServer
    ) -> None:
        rng = random.Random(7)
        wanted: dict[tuple[str, str], dict[str, Any]] = {}
        for step in range(120):
            if step % 40 == 20:
                await server.stop()
            if step % 40 == 39:
                await server.start()
                await trusted(cache)
            pair = (rng.choice("st"), rng.choice("kl"))
            match rng.choice(["put", "get", "get", "delete"]):
                case "put":
                    wanted[pair] = {"step": step}
                    await memory.put(WorkingPut(session_id=pair[0], key=pair[1], context_data=wanted[pair]))
                case "delete":
                    deleted, _ = await memory.delete(WorkingKey(session_id=pair[0], key=pair[1]))
                    assert deleted.deleted == (wanted.pop(pair, None) is not None)
                case _:
                    got = await answer(memory, *pair)
                    assert (404 if got == 404 else got.context_data) == wanted.get(pair, 404)

    async def test_what_redis_still_holds_from_before_is_not_believed(
        self, memory: WorkingMemory, cache: Cache, server: RedisServer
    ) -> None:
        await memory.put(WorkingPut(session_id="s", key="k", context_data={"n": 1}))
        cache.distrust("the test says so")
        await memory.put(WorkingPut(session_id="s", key="k", context_data={"n": 2}))
        await trusted(cache)
        assert (await answer(memory, "s", "k")).context_data == {"n": 2}

    async def test_an_older_value_never_replaces_a_later_one(self, cache: Cache) -> None:
        await cache.put_version("working_memory:s:k", 10, b"later", 60)
        await cache.put_version("working_memory:s:k", 9, b"earlier", 60)
        assert await cache.get_version("working_memory:s:k") == b"later"

    async def test_no_request_waits_for_a_redis_that_is_away(self, cache: Cache, server: RedisServer) -> None:
        await server.stop()
        assert await cache.get("x") is None
        assert not cache.trusted
        assert await cache.get("x") is None
