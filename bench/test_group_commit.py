"""Durable publishes at the same time: as they are grouped by `bus.group`, beside the same ones each written alone, in one run."""

import asyncio
import statistics
import time
from pathlib import Path

import pytest

from bench.table import show
from bus import streams, subjects
from bus.connection import Bus, Outgoing
from bus.settings import BusSettings
from cerebro.embedded.nats import NatsServer
from schemas.memory import Action

pytestmark = pytest.mark.bench

ROUNDS = 5
ROUND_S = 1.5
AT_ONCE = (1, 8, 64)
BODY = Action(action_type="bench", action_details={"text": "x" * 200})
COLUMNS = ("at once", "grouped, a second", "alone, a second", "ratio", "grouped: p50 ms", "alone: p50 ms", "ratio of p50")


async def test_group_commit(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats", tmp_path / "nats.log")
    await server.start()
    try:
        grouped = await connected(BusSettings(nats_url=server.url, prefix="grouped", log_bytes_max=2**28))
        alone = await connected(BusSettings(nats_url=server.url, prefix="alone", log_bytes_max=2**28, group_len_max=1))
        rows = [await compared(grouped, alone, many) for many in AT_ONCE]
        await grouped.close()
        await alone.close()
    finally:
        await server.stop()
    show(f"Group commit: {ROUNDS} rounds of {ROUND_S:g} s, taking turns; medians", COLUMNS, rows)


async def connected(settings: BusSettings) -> Bus:
    await streams.declare(settings)
    return await Bus.connect(settings, "bench")


async def compared(grouped: Bus, alone: Bus, many: int) -> list[str]:
    """The cells of the row for so many publishers at once."""
    rounds = [(await published(grouped, many), await published(alone, many)) for _ in range(ROUNDS)]
    rates = [statistics.median(rate for rate, _ in side) for side in zip(*rounds, strict=True)]
    p50s = [statistics.median(p50 for _, p50 in side) for side in zip(*rounds, strict=True)]
    faster = statistics.median(a[0] / b[0] for a, b in rounds)
    slower = statistics.median(a[1] / b[1] for a, b in rounds)
    return [str(many), f"{rates[0]:.0f}", f"{rates[1]:.0f}", f"{faster:.2f}", f"{p50s[0]:.2f}", f"{p50s[1]:.2f}", f"{slower:.2f}"]


async def published(bus: Bus, many: int) -> tuple[float, float]:
    """How many a second are acknowledged, and the median of how long one took, in ms."""
    times_s: list[float] = []
    end = time.perf_counter() + ROUND_S

    async def publisher() -> None:
        while (start := time.perf_counter()) < end:
            await bus.put(Outgoing(row=subjects.EPISODE, body=BODY, tokens={"agent": "bench"}))
            times_s.append(time.perf_counter() - start)

    await asyncio.gather(*(publisher() for _ in range(many)))
    return len(times_s) / ROUND_S, statistics.median(times_s) * 1000
