"""Durable publishes at the same time: as they are grouped by `bus.group`, beside the same ones each written alone, in one run."""

import asyncio
import statistics
import time
from pathlib import Path

import msgspec
import pytest

from bench.conftest import Launch
from bench.door import Caller
from bench.table import show
from bus import streams, subjects
from bus.connection import Bus, Outgoing
from bus.settings import BusSettings
from cerebro.embedded.nats import NatsServer
from schemas.memory import Action
from tests.integration.launched import Up

pytestmark = pytest.mark.bench

ROUNDS = 5
ROUND_S = 1.5
AT_ONCE = (1, 8, 64)
BODY = Action(action_type="bench", action_details={"text": "x" * 200})
COLUMNS = ("at once", "grouped, a second", "alone, a second", "ratio", "grouped: p50 ms", "alone: p50 ms", "ratio of p50")
DOOR_COLUMNS = (
    "at once",
    "grouped, a second",
    "alone, a second",
    "single publishes, a second",
    "grouped to single",
    "grouped: p50 ms",
    "alone: p50 ms",
    "ratio of p50",
)


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


async def test_through_the_door(launch: Launch) -> None:
    """`POST /memory/action`, answered when it is on disk: a mesh that groups, one that writes each alone; and bare single publishes."""
    grouped, alone = launch(), launch(CEREBRO_BUS_GROUP_LEN_MAX="1")
    single = await Bus.connect(msgspec.structs.replace(alone.bus_settings(), group_len_max=1), "bench")
    rows = []
    for many in AT_ONCE:
        rounds = [[await posted(grouped, many), await posted(alone, many), await published(single, many)] for _ in range(ROUNDS)]
        rates = [statistics.median(r[way][0] for r in rounds) for way in range(3)]
        p50s = [statistics.median(r[way][1] for r in rounds) for way in range(2)]
        ratios = [statistics.median(r[0][0] / r[2][0] for r in rounds), statistics.median(r[0][1] / r[1][1] for r in rounds)]
        rows.append(
            [str(many), *(f"{rate:.0f}" for rate in rates), f"{ratios[0]:.2f}", *(f"{p50:.2f}" for p50 in p50s), f"{ratios[1]:.2f}"]
        )
    await single.close()
    show(f"POST /memory/action: {ROUNDS} rounds of {ROUND_S:g} s, taking turns; medians", DOOR_COLUMNS, rows)


async def posted(up: Up, many: int) -> tuple[float, float]:
    """How many a second are answered 202, and the median of how long one took, in ms."""
    callers = [await Caller.to(up.run.http, "/memory/action", msgspec.to_builtins(BODY) | {"agent_id": "bench"}) for _ in range(many)]
    times_s: list[float] = []
    end = time.perf_counter() + ROUND_S

    async def one(caller: Caller) -> None:
        while (start := time.perf_counter()) < end:
            assert await caller.call() == 202
            times_s.append(time.perf_counter() - start)

    await asyncio.gather(*(one(caller) for caller in callers))
    for caller in callers:
        await caller.close()
    return len(times_s) / ROUND_S, statistics.median(times_s) * 1000


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
