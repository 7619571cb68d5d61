"""What an event costs when they come steadily, one after the other: with the pause between small transactions, and without."""

import asyncio
import time

import pytest

from bench.conftest import Launch
from bench.door import Caller
from bench.processor import processor_s
from bench.table import show
from tests.integration.launched import Up

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

RATES = (20, 100, 300)
"""Events a second."""
RATE_S = 8.0
SETTLED_S = 2.0
WAYS: dict[str, dict[str, str]] = {"as it is": {}, "each at once": {"CEREBRO_MEMORY_GATHER_S_MAX": "0"}}
COLUMNS = ("events a second", *(f"{way}, µs" for way in WAYS), "ratio")

Cost = dict[int, float]
"""Processor time of memory and PostgreSQL for one event, in µs, by how many come a second."""


async def test_steady(launch: Launch) -> None:
    costs = {way: await measured(launch(CEREBRO_MEMORY_EMBEDDING="none", **settings)) for way, settings in WAYS.items()}
    rows = [[str(rate), *(f"{cost[rate]:,.0f}" for cost in costs.values()), ratio(costs, rate)] for rate in RATES]
    show("Processor time of memory and PostgreSQL for one event", COLUMNS, rows)


def ratio(costs: dict[str, Cost], rate: int) -> str:
    as_it_is, at_once = (cost[rate] for cost in costs.values())
    return f"{as_it_is / at_once:.2f}"


async def measured(up: Up) -> Cost:
    caller = await Caller.acting(up.run.http)
    found = {}
    for rate in RATES:
        await asyncio.sleep(SETTLED_S)
        before = spent_s(up)
        sent = await steadily(caller, rate)
        await asyncio.sleep(SETTLED_S)
        found[rate] = (spent_s(up) - before) / sent * 1e6
    await caller.close()
    up.stop()
    return found


async def steadily(caller: Caller, rate: int) -> int:
    """Send that many a second, as far as one caller can; how many were sent."""
    start, sent = time.perf_counter(), 0
    while time.perf_counter() < start + RATE_S:
        assert await caller.call() == 202
        sent += 1
        await asyncio.sleep(max(0.0, start + sent / rate - time.perf_counter()))
    return sent


def spent_s(up: Up) -> float:
    spent = processor_s(up)
    return spent["memory"] + spent["postgres"]
