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
        self._epoch = cache.epoch

    @property
    def epoch(self) -> int:
        """Changes when every kept answer is dropped: one that began in an epoch that is over is not kept."""
        return self._cache.epoch

    @property
    def size_bytes(self) -> int:
        """How much is kept in this process."""
        return self._bytes

    async def get(self, key: str) -> bytes | None:
        """The answer under this key, or None where there is none any more."""
        if (value := self._get(key)) is not None:
            return value
        epoch = self._cache.epoch
        value = await self._cache.get(key)
        if value is not None:
            self._put(key, value, epoch)
        return value

    async def put(self, key: str, value: bytes, epoch: int) -> None:
        """Keep an answer in both places; not where it began in an `epoch` that is over."""
        self._put(key, value, epoch)
        await self._cache.put(key, value, self._settings.search_cache_ttl_s, epoch)

    def _refresh(self) -> None:
        """Keep nothing here of an epoch that is over."""
        if self._epoch != self._cache.epoch:
            self._epoch = self._cache.epoch
            self._kept.clear()
            self._bytes = 0

    def _get(self, key: str) -> bytes | None:
        self._refresh()
        entry = self._kept.get(key)
        if entry is None:
            return None
        if entry[0] <= self._clock():
            self._remove(key)
            return None
        self._kept.move_to_end(key)
        return entry[1]

    def _put(self, key: str, value: bytes, epoch: int) -> None:
        self._refresh()
        if epoch != self._epoch:
            return
        if key in self._kept:
            self._remove(key)
        self._kept[key] = (self._clock() + self._settings.search_l1_ttl_s, value)
        self._bytes += _cost(key, value)
        while self._bytes > self._settings.search_l1_bytes_max:
            self._remove(next(iter(self._kept)))

    def _remove(self, key: str) -> None:
        self._bytes -= _cost(key, self._kept.pop(key)[1])


def _cost(key: str, value: bytes) -> int:
    return len(key) + len(value) + ENTRY_BYTES
