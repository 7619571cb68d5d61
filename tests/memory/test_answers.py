"""Answers kept in this process: bounded in bytes and time, the least recently used go first, and Redis is not needed for them."""

from collections.abc import AsyncIterator

import pytest_asyncio

from memory.answers import ENTRY_BYTES, Answers
from memory.cache import Cache
from memory.settings import MemorySettings


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest_asyncio.fixture
async def away() -> AsyncIterator[Cache]:
    """A cache whose Redis is not there."""
    cache = Cache("redis://127.0.0.1:1", "", 0.1, 1)
    yield cache
    await cache.close()


def kept(cache: Cache, clock: Clock, entries: int = 3) -> Answers:
    settings = MemorySettings(search_l1_bytes_max=entries * (ENTRY_BYTES + 2), search_l1_ttl_s=60)
    return Answers(cache, settings, clock)


class TestAnswers:
    async def test_an_answer_is_there_without_redis(self, away: Cache) -> None:
        answers = kept(away, Clock())
        await answers.put("a", b"1", answers.epoch)
        assert await answers.get("a") == b"1"
        assert await answers.get("b") is None

    async def test_it_is_gone_after_its_time(self, away: Cache) -> None:
        clock = Clock()
        answers = kept(away, clock)
        await answers.put("a", b"1", answers.epoch)
        clock.now = 59.9
        assert await answers.get("a") == b"1"
        clock.now = 60.0
        assert await answers.get("a") is None
        assert answers.size_bytes == 0

    async def test_the_least_recently_used_go_first(self, away: Cache) -> None:
        answers = kept(away, Clock())
        for key in "abc":
            await answers.put(key, b"1", answers.epoch)
        await answers.get("a")
        await answers.put("d", b"1", answers.epoch)
        assert [await answers.get(key) for key in "abcd"] == [b"1", None, b"1", b"1"]

    async def test_one_that_is_larger_than_everything_is_not_kept(self, away: Cache) -> None:
        answers = kept(away, Clock())
        await answers.put("a", b"x" * 10_000, answers.epoch)
        assert await answers.get("a") is None
        assert answers.size_bytes == 0

    async def test_the_same_key_again_takes_its_place(self, away: Cache) -> None:
        answers = kept(away, Clock())
        await answers.put("a", b"1", answers.epoch)
        await answers.put("a", b"22", answers.epoch)
        assert await answers.get("a") == b"22"
        assert answers.size_bytes == ENTRY_BYTES + 3

    async def test_what_another_process_kept_is_found_in_redis(self, cache: Cache) -> None:
        await kept(cache, Clock()).put("cache:search:a", b"1", cache.epoch)
        other = kept(cache, Clock(), entries=10)
        assert await other.get("cache:search:a") == b"1"
        assert other.size_bytes > 0

    async def test_when_searches_are_dropped_nothing_is_kept_here_either(self, cache: Cache) -> None:
        answers = kept(cache, Clock())
        await answers.put("cache:search:a", b"1", answers.epoch)
        begun = answers.epoch
        await cache.drop_searches()
        assert await answers.get("cache:search:a") is None
        await answers.put("cache:search:a", b"of before", begun)
        assert await answers.get("cache:search:a") is None
        assert answers.size_bytes == 0
