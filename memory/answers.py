"""Answers to searches, kept: in this process first, then in Redis, under the same key. A key names the state of the database that
its answer was made from, so that no kept answer is ever stale, wherever it is kept.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from memory.cache import Cache
from memory.settings import MemorySettings

ENTRY_BYTES: Final = 200
"""About what an entry costs beside its key and its value."""


class Answers:
    """`get` and `put` bytes. In this process at most `search_l1_bytes_max` bytes, of which the least recently used go first."""

    def __init__(self, cache: Cache, settings: MemorySettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._cache = cache
        self._settings = settings
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._bytes = 0

    @property
    def size_bytes(self) -> int:
        """How much is kept in this process."""
        return self._bytes

    async def get(self, key: str) -> bytes | None:
        """The answer under this key, or None where there is none any more."""
        if (value := self._get(key)) is not None:
            return value
        value = await self._cache.get(key)
        if value is not None:
            self._put(key, value)
        return value

    async def put(self, key: str, value: bytes) -> None:
        """Keep an answer in both places."""
        self._put(key, value)
        await self._cache.put(key, value, self._settings.search_cache_ttl_s)

    def _get(self, key: str) -> bytes | None:
        entry = self._kept.get(key)
        if entry is None:
            return None
        if entry[0] <= self._clock():
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return entry[1]

    def _put(self, key: str, value: bytes) -> None:
        if key in self._kept:
            self._drop(key)
        self._kept[key] = (self._clock() + self._settings.search_l1_ttl_s, value)
        self._bytes += _cost(key, value)
        while self._bytes > self._settings.search_l1_bytes_max:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: str) -> None:
        self._bytes -= _cost(key, self._kept.pop(key)[1])


def _cost(key: str, value: bytes) -> int:
    return len(key) + len(value) + ENTRY_BYTES
