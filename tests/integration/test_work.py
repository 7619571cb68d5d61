"""Work that the server hands out again while it is worked on: an instance begins it once."""

import asyncio

from bus import streams, subjects
from bus.connection import Bus
from bus.delivery import Ack, Outcome
from bus.log import Delivery
from bus.settings import BusSettings
from bus.work import Work, work_of
from schemas.memory import Action
from tests.integration.rest import eventually

LEASE_S = 60.0


async def test_what_is_handed_out_again_is_not_begun_twice(nats_url: str, prefix: str) -> None:
    settings = BusSettings(nats_url=nats_url, prefix=prefix, log_bytes_max=64 * 1024**2)
    await streams.declare(settings)
    bus = await Bus.connect(settings, "worker")
    begun: list[str] = []
    delivered: list[int] = []
    let_go = asyncio.Event()

    async def handle(delivery: Delivery) -> Outcome:
        begun.append(delivery.entry.subject)
        await bus.nc.publish(delivery.msg.reply, b"-NAK")  # as if it had not been heard of for too long
        await let_go.wait()
        return Ack()

    work = Work(bus, subjects.EPISODE, "worker", lambda: 5, handle, LEASE_S)
    running = asyncio.create_task(work.run(), name="work")
    await bus.publish(subjects.EPISODE, Action(action_type="note"), agent="worker")
    consumer = f"{bus.stream(subjects.MESH)}.{work_of(bus, subjects.EPISODE, 'worker', LEASE_S).name}"

    async def told(field: str) -> int:
        info = await bus.api(f"CONSUMER.INFO.{consumer}", {})
        assert "error" not in info  # it is not made yet
        delivered.append(info["delivered"]["consumer_seq"])
        return int(info[field])

    async def handed_out_twice() -> bool:
        await told("num_ack_pending")
        return delivered[-1] == 2

    async def settled() -> bool:
        return await told("num_ack_pending") == 0

    await eventually(handed_out_twice)
    let_go.set()
    await eventually(settled)
    assert len(begun) == 1
    assert work.running == 0
    running.cancel()
    await asyncio.wait({running})
    await bus.close()
