"""Work that is handed out again: what an instance has under way, or is done with, it does not do a second time."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bus import streams, subjects
from bus.cancelling import end
from bus.connection import Bus
from bus.delivery import Ack, Outcome
from bus.log import Delivery
from bus.settings import BusSettings
from bus.work import Work
from schemas.tasks import AssignedTask, Assignment
from tests.integration.rest import eventually

LEASE_S = 2.0  # a silent instance's work is handed out again after half of it


@asynccontextmanager
async def working(settings: BusSettings, handler: Callable[[Delivery], Awaitable[Outcome]]) -> AsyncIterator[tuple[Bus, Work]]:
    """One instance at work, and one piece for it."""
    await streams.declare(settings)
    bus = await Bus.connect(settings, "nexus")
    work = Work(bus, subjects.TASK_ASSIGNED, "nexus", lambda: 4, handler, LEASE_S)
    running = asyncio.create_task(work.run(), name="work")
    given = Assignment(fence=1, lease_s=LEASE_S, task=AssignedTask(title="do it", task_id="t"))
    await bus.publish(subjects.TASK_ASSIGNED, given, task="t", agent="nexus")
    yield bus, work
    await end(running)
    await bus.close()


async def consumer(bus: Bus) -> dict[str, Any]:
    return await bus.api(f"CONSUMER.INFO.{bus.stream(subjects.MESH)}.{bus.settings.work_consumer('nexus')}", {})


@pytest.fixture
def settings(nats_url: str, prefix: str) -> BusSettings:
    return BusSettings(nats_url=nats_url, prefix=prefix, log_bytes_max=16 * 1024**2)


async def test_what_is_under_way_is_not_begun_again(settings: BusSettings) -> None:
    begun: list[int] = []

    async def handler(delivery: Delivery) -> Outcome:
        begun.append(delivery.delivered)
        time.sleep(1.4)  # the loop stands still, and the server hears nothing
        await asyncio.sleep(1.0)
        return Ack()

    async with working(settings, handler) as (bus, _):

        async def done() -> bool:
            seen = await consumer(bus)
            return bool(begun) and not seen["num_ack_pending"] and not seen["num_pending"]

        await eventually(done)
        assert (await consumer(bus))["delivered"]["consumer_seq"] > 1, "it was not handed out again"
    assert begun == [1]


async def test_an_outcome_that_was_not_heard_is_said_again(settings: BusSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    settled: list[int] = []

    async def handler(delivery: Delivery) -> Outcome:
        begun.append(delivery.delivered)
        return Ack()

    sound = Work._settle

    async def lost_at_first(self: Work, delivery: Delivery, outcome: Outcome) -> None:
        settled.append(delivery.delivered)
        if len(settled) > 1:
            await sound(self, delivery, outcome)

    monkeypatch.setattr(Work, "_settle", lost_at_first)
    async with working(settings, handler) as (bus, _):

        async def done() -> bool:
            return len(settled) > 1 and not (await consumer(bus))["num_ack_pending"]

        await eventually(done)
    assert begun == [1]
