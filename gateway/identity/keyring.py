"""The keys that stand in the bucket now, each looked up again after a moment, so that a revoked one is refused at once."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import msgspec
import nats.errors
from nats.js.errors import KeyNotFoundError

from bus.connection import Bus
from bus.errors import Unavailable
from gateway.identity.keys import BUCKET
from schemas.keys import ApiKey

KNOWN_MAX: Final = 10_000
"""Most names that are remembered, those that are no key among them; the least recently looked up go first."""


class Keyring:
    """`find` a key by its name. `bus` gives the connection, or raises `Unavailable`."""

    def __init__(self, bus: Callable[[], Bus], cache_s: float) -> None:
        self._bus = bus
        self._cache_s = cache_s
        self._known: OrderedDict[str, tuple[float, ApiKey | None]] = OrderedDict()

    async def find(self, name: str) -> ApiKey | None:
        """The key of this name as it was within the last `cache_s` seconds. Raises `Unavailable`."""
        now = asyncio.get_running_loop().time()
        if name in self._known and now - self._known[name][0] < self._cache_s:
            return self._known[name][1]
        key = await self._read(name)
        self._known[name] = (now, key)
        self._known.move_to_end(name)
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        return key

    async def _read(self, name: str) -> ApiKey | None:
        bus = self._bus()
        if not bus.connected:
            raise Unavailable("NATS is away, and with it the keys")
        try:
            entry = await (await bus.kv(BUCKET)).get(name)
        except KeyNotFoundError:
            return None
        except (nats.errors.Error, OSError, TimeoutError) as e:
            raise Unavailable(f"keys cannot be read: {e}") from e
        return msgspec.json.decode(entry.value, type=ApiKey) if entry.value else None
