"""Is the bus all right? Asked by a real durable write, not by looking at a socket."""

import time

import nats.errors

from bus.connection import Bus
from bus.errors import CerebroError, Unavailable
from schemas.memory import PartHealth


async def check(bus: Bus) -> PartHealth:
    """Write a record to disk through JetStream and time it."""
    start = time.perf_counter()
    try:
        bucket = await bus.kv("idempotency")
        await bucket.put("health", b"1")
    except (CerebroError, nats.errors.Error, OSError, TimeoutError) as e:
        return PartHealth(status="unhealthy", latency_ms=_ms(start), detail=str(e) or type(e).__name__)
    return PartHealth(status="healthy", latency_ms=_ms(start))


async def ready(bus: Bus) -> None:
    """Raise `Unavailable` unless a durable write works."""
    health = await check(bus)
    if health.status != "healthy":
        raise Unavailable(health.detail)


def _ms(start: float) -> float:
    return round((time.perf_counter() - start) * 1000, 3)
