"""Redis out and in: its keys with their values and times to live. Losing it loses no answer; with it, the first ones come sooner."""

import base64
from pathlib import Path
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bus.errors import Unavailable
from cerebro.backup.compressed import pieces, written

NAME: Final = "redis.jsonl.zst"
SCAN_LEN: Final = 500
"""Keys asked for at a time."""


class Kept(msgspec.Struct, frozen=True):
    """One key; `ttl_ms` 0: without end."""

    key: str
    ttl_ms: int
    value: str


async def save(url: str, prefix: str, folder: Path) -> int:
    """Write every key of this mesh that stands there now; how many. Raises `Unavailable`."""
    count = 0
    async with Redis.from_url(url) as redis:
        try:
            with written(folder / NAME) as file:
                async for key in redis.scan_iter(match=f"{prefix}*", count=SCAN_LEN):
                    value, ttl_ms = await redis.dump(key), await redis.pttl(key)
                    if value is None or ttl_ms == -2:  # it went meanwhile
                        continue
                    kept = Kept(base64.b64encode(key).decode(), max(ttl_ms, 0), base64.b64encode(value).decode())
                    file.write(msgspec.json.encode(kept) + b"\n")
                    count += 1
        except (RedisError, OSError) as e:
            raise Unavailable(f"Redis: {e}") from e
    return count


async def load(url: str, folder: Path) -> int:
    """Put them back; how many. Raises `Unavailable`."""
    lines = b"".join(pieces(folder / NAME)).splitlines()
    async with Redis.from_url(url) as redis:
        try:
            for line in lines:
                kept = msgspec.json.decode(line, type=Kept)
                value: Any = base64.b64decode(kept.value)
                await redis.restore(base64.b64decode(kept.key), kept.ttl_ms, value, replace=True)
        except (RedisError, OSError) as e:
            raise Unavailable(f"Redis: {e}") from e
    return len(lines)
