"""Rates: how often a key, and an address, may ask. Counted by Redis for all gateways together, or here while it is away."""

import ipaddress
import logging
import time
from typing import Final

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError

from bus.errors import TooManyRequests
from gateway.settings import GatewaySettings

log = logging.getLogger("cerebro.gateway")

COUNTED_MAX: Final = 100_000
"""Most keys and addresses that are counted in this process; beyond, counting begins anew."""
AWAY_S: Final = 5.0
"""After Redis did not answer, it is not asked for this long."""
REDIS_S: Final = 0.25
"""Longest wait for Redis."""
V6_NETWORK: Final = 64
"""Bits of an IPv6 address that count: whoever has one address has the rest of its network."""


class Rates:
    """`take` one turn of a key or an address."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._of = {
            "key": _parsed(settings.rate_of_key),
            "address": _parsed(settings.rate_of_address),
            "bad key": _parsed(settings.rate_of_bad_keys),
        }
        self._here = MemoryStorage()
        self._limiter_here = SlidingWindowCounterRateLimiter(self._here)
        self._redis = _redis(settings.rates_redis_url)
        self._limiter_there = SlidingWindowCounterRateLimiter(self._redis) if self._redis is not None else None
        self._away_until = 0.0

    async def take(self, kind: str, who: str) -> None:
        """Count one. Raises `TooManyRequests` where it is one too many."""
        if (item := self._of[kind]) is not None and not await self._counted("hit", item, kind, who):
            raise self._too_many(item, kind)

    async def look(self, kind: str, who: str) -> None:
        """As `take`, without counting."""
        if (item := self._of[kind]) is not None and not await self._counted("test", item, kind, who):
            raise self._too_many(item, kind)

    async def close(self) -> None:
        """Close the connections to Redis."""
        if self._redis is not None:
            await self._redis.bridge.storage.aclose()  # type: ignore[attr-defined]  # redispy has it

    async def _counted(self, verb: str, item: RateLimitItem, kind: str, who: str) -> bool:
        if self._limiter_there is not None and time.monotonic() >= self._away_until:
            try:
                return bool(await getattr(self._limiter_there, verb)(item, kind, who))
            except (StorageError, OSError, TimeoutError) as e:
                self._away_until = time.monotonic() + AWAY_S
                log.warning("Redis does not count requests now, each gateway counts for itself: %s", e)
        if len(self._here.storage) > COUNTED_MAX:
            await self._here.reset()
        return bool(await getattr(self._limiter_here, verb)(item, kind, who))

    @staticmethod
    def _too_many(item: RateLimitItem, kind: str) -> TooManyRequests:
        error = TooManyRequests(f"more than {item} from one {kind}")
        error.retry_after_s = item.get_expiry() / item.amount
        return error


def network(address: str) -> str:
    """What of an address is counted: all of IPv4, the network of IPv6; other text as it is."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(known) if known.version == 4 else str(ipaddress.ip_network((known, V6_NETWORK), strict=False))


def _parsed(rate: str) -> RateLimitItem | None:
    return parse(rate) if rate else None


def _redis(url: str) -> RedisStorage | None:
    if not url:
        return None
    return RedisStorage(
        f"async+{url}",
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix="cerebro-rates",
        socket_timeout=REDIS_S,
        socket_connect_timeout=REDIS_S,
    )
