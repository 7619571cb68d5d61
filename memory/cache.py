"""Redis, as a cache that may vanish at any moment: nothing waits for it, nothing is lost with it, nothing stale comes from it.

Whoever asks while Redis is away is told "not there" at once; a task tries it again. What was written around it
meanwhile it cannot know, so it is emptied (of our keys) before it is believed again, and when this process starts.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

log = logging.getLogger("cerebro.memory")

CONNECTIONS_MAX: Final = 10  # REDIS_POOL_CONFIG of the specification
SCAN_LEN: Final = 1_000  # keys looked at in one step while emptying
SEARCHES: Final = "cache:search:*"
OURS: Final = ("working_memory:*", SEARCHES)
VERSION_BYTES: Final = 20  # a value that is put by version begins with it, as decimal digits

PUT_IF_LATER: Final = """
local known = redis.call('GETRANGE', KEYS[1], 0, 19)
if known == '' or known < ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2], 'PX', ARGV[3])
    return 1
end
return 0
"""
"""Set a value unless a later version stands there, so that two writers leave the later one whatever their order here."""


AWAY: Final = (RedisError, OSError, RuntimeError)
"""How it shows that Redis is away; the last is uvloop's word for a connection that was reset just before something was sent."""


class Cache:
    """Keys and bytes with a time to live. `prefix` separates meshes that share a Redis."""

    def __init__(self, url: str, prefix: str, timeout_s: float, retry_s: float) -> None:
        self._redis: Any = Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            max_connections=CONNECTIONS_MAX,
            retry=Retry(NoBackoff(), 0),
        )
        self._prefix = f"{prefix}:" if prefix else ""
        self._timeout_s = timeout_s
        self._retry_s = retry_s
        self._distrusted = asyncio.Event()
        self._distrusted.set()
        self._epoch = 0

    @property
    def trusted(self) -> bool:
        """Whether Redis is there and holds nothing that was written around it."""
        return not self._distrusted.is_set()

    @property
    def epoch(self) -> int:
        """Changes whenever Redis is distrusted or searches are dropped: what began in one epoch may not be written in another."""
        return self._epoch

    async def get(self, key: str) -> bytes | None:
        """The value, or None where there is none, or no Redis."""
        value: bytes | None = await self._try(lambda: self._redis.get(self._prefix + key))
        return value

    async def put(self, key: str, value: bytes, ttl_s: float, epoch: int | None = None) -> None:
        """Keep `value` for `ttl_s` seconds; not where it began in an `epoch` that is over."""
        if epoch is not None and epoch != self._epoch:
            return
        await self._try(lambda: self._redis.set(self._prefix + key, value, px=_milliseconds(ttl_s)))

    async def put_version(self, key: str, version: int, value: bytes, ttl_s: float) -> None:
        """Keep `value` for `ttl_s` seconds unless a later version of it is kept already."""
        digits = str(version).zfill(VERSION_BYTES)
        await self._try(lambda: self._redis.eval(PUT_IF_LATER, 1, self._prefix + key, digits, value, _milliseconds(ttl_s)))

    async def get_version(self, key: str) -> bytes | None:
        """What `put_version` kept, or None."""
        value = await self.get(key)
        return value[VERSION_BYTES:] if value else None

    async def ping(self) -> None:
        """Ask Redis itself, trusted or not. Raises RedisError or OSError."""
        async with asyncio.timeout(2 * self._timeout_s):
            await self._redis.ping()

    def distrust(self, reason: object) -> None:
        """Believe nothing it says until it has been emptied; said once in the log."""
        self._epoch += 1
        if self.trusted:
            log.warning("Redis is not believed (%s); answers come from PostgreSQL meanwhile", reason)
            self._distrusted.set()

    async def keep_trying(self) -> None:
        """For ever: when Redis is distrusted, empty it as soon as it answers, and trust it again."""
        said_in = -1
        while True:
            await self._distrusted.wait()
            try:
                await self._empty()
            except AWAY as e:
                if said_in != self._epoch:
                    said_in = self._epoch
                    log.warning("Redis does not answer, tried again every %g s: %s", self._retry_s, e)
                await asyncio.sleep(self._retry_s)

    async def drop_searches(self) -> None:
        """Drop every kept answer, those under way included. Where Redis is away now, it is emptied before it is believed again."""
        self._epoch += 1
        await self._once_quiet(lambda: self._drop(SEARCHES))

    async def forget(self, keys: Sequence[str]) -> None:
        """Drop these keys, of which nothing is left elsewhere already. As for `drop_searches` where Redis is away now."""
        if keys:
            await self._once_quiet(lambda: self._unlink([self._prefix + key for key in keys]))

    async def _once_quiet(self, drop: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(2 * self._timeout_s)  # the longest that what was about to be written before may take
        if not self.trusted:
            return
        try:
            await drop()
        except AWAY as e:
            self.distrust(str(e) or type(e).__name__)

    async def close(self) -> None:
        await self._redis.aclose()

    async def _empty(self) -> None:
        epoch = self._epoch
        for pattern in OURS:
            await self._drop(pattern)
        if epoch == self._epoch:
            self._distrusted.clear()
            log.info("Redis is there, and empty")

    async def _drop(self, pattern: str) -> None:
        await self._unlink([key async for key in self._redis.scan_iter(match=self._prefix + pattern, count=SCAN_LEN)])

    async def _unlink(self, keys: Sequence[bytes | str]) -> None:
        for start in range(0, len(keys), SCAN_LEN):
            await self._redis.unlink(*keys[start : start + SCAN_LEN])

    async def _try(self, ask: Any) -> Any:
        if not self.trusted:
            return None
        try:
            async with asyncio.timeout(2 * self._timeout_s):
                return await ask()
        except AWAY as e:
            self.distrust(str(e) or type(e).__name__)
            return None
        except asyncio.CancelledError:
            self.distrust("a request was given up half-way")
            raise


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))
