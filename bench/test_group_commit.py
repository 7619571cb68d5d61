"""Durable publishes at the same time: as they are grouped by `bus.group`, beside the same ones each written alone, in one run."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import msgspec
import pytest

from bench.conftest import Launch
from bench.door import ACTION, Caller
from bench.table import show
from bus import streams, subjects
from bus.connection import Bus, Outgoing
from bus.log import bounds
from bus.settings import BusSettings
from cerebro.embedded.nats import NatsServer
from memory.positions import PERSISTER
from tests.integration.launched import Up
from tests.integration.rest import eventually

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1_800)]

ROUNDS = 5
ROUND_S = 1.5
AT_ONCE = (1, 8, 64)
COLUMNS = ("at once", "grouped, a second", "alone, a second", "ratio", "grouped: p50 ms", "alone: p50 ms", "ratio of p50")
DOOR_COLUMNS = (
    "at once",
    "grouped, a second",
    "alone, a second",
    "single publishes, a second",
    "grouped to alone",
    "grouped to single",
    "grouped: p50 ms",
    "alone: p50 ms",
    "ratio of p50",
)
WAYS: dict[str, dict[str, str]] = {"grouped": {}, "alone": {"CEREBRO_BUS_GROUP_LEN_MAX": "1"}}
PERSISTED_S_MAX = 120.0
PLACE = "SELECT stream_seq FROM memory_system.consumer_position WHERE consumer = $1"

Measured = tuple[float, float]
"""How many a second, and the median of how long one took, in ms."""


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
    """`POST /memory/action`, answered when it is on disk: a mesh that groups, one that writes each alone; and bare single publishes.

    Each time on a mesh of its own that has just started, so that none is measured while the memory of another works off what it was sent.
    """
    rounds: list[dict[str, dict[int, tuple[Measured, Measured]]]] = []
    for number in range(ROUNDS):
        turns = list(WAYS) if number % 2 == 0 else reversed(WAYS)
        rounds.append({way: await through_the_door(launch, **WAYS[way]) for way in turns})
    rows = [door_row([(found["grouped"][many], found["alone"][many]) for found in rounds], many) for many in AT_ONCE]
    show(f"POST /memory/action: {ROUNDS} rounds of {ROUND_S:g} s, taking turns; medians", DOOR_COLUMNS, rows)


async def through_the_door(launch: Launch, **settings: str) -> dict[int, tuple[Measured, Measured]]:
    """What a new mesh with these settings takes with so many at once: through REST, and its log from single publishes."""
    up = launch(**settings)
    bus = await Bus.connect(msgspec.structs.replace(up.bus_settings(), group_len_max=1), "bench")
    await posted(up, 1)  # to warm up
    found = {}
    for many in AT_ONCE:
        await persisted(up, bus)
        through_rest = await posted(up, many)
        await persisted(up, bus)
        found[many] = through_rest, await published(bus, many)
    await bus.close()
    up.stop()
    return found


def door_row(rounds: Sequence[tuple[tuple[Measured, Measured], tuple[Measured, Measured]]], many: int) -> list[str]:
    """The cells of the row for so many callers at once; what single publishes reach is from the mesh that groups."""
    each = [(grouped, alone, single) for (grouped, single), (alone, _) in rounds]
    rates = [statistics.median(rate for rate, _ in way) for way in zip(*each, strict=True)]
    p50s = [statistics.median(p50 for _, p50 in way) for way in zip(*each, strict=True)][:2]
    ratios = [statistics.median(ways[0][0] / ways[other][0] for ways in each) for other in (1, 2)]
    slower = statistics.median(grouped[1] / alone[1] for grouped, alone, _ in each)
    return [
        str(many),
        *(f"{rate:.0f}" for rate in rates),
        *(f"{ratio:.2f}" for ratio in ratios),
        *(f"{p50:.2f}" for p50 in p50s),
        f"{slower:.2f}",
    ]


async def persisted(up: Up, bus: Bus) -> None:
    """Wait until the memory actor has worked off the log; what is still to be embedded is the mesh's own load, and stays."""
    connection = await asyncpg.connect(up.run.postgres)

    async def nothing_waits() -> bool:
        return bool(await connection.fetchval(PLACE, PERSISTER) == (await bounds(bus))[1])

    try:
        await eventually(nothing_waits, PERSISTED_S_MAX)
    finally:
        await connection.close()


async def posted(up: Up, many: int) -> Measured:
    """How many a second are answered 202."""
    callers = [await Caller.acting(up.run.http) for _ in range(many)]
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


async def published(bus: Bus, many: int) -> Measured:
    """How many a second are acknowledged."""
    times_s: list[float] = []
    end = time.perf_counter() + ROUND_S

    async def publisher() -> None:
        while (start := time.perf_counter()) < end:
            await bus.put(Outgoing(row=subjects.EPISODE, body=ACTION, tokens={"agent": "bench"}))
            times_s.append(time.perf_counter() - start)

    await asyncio.gather(*(publisher() for _ in range(many)))
    return len(times_s) / ROUND_S, statistics.median(times_s) * 1000
