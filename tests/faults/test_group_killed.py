"""A server that is killed in the middle of groups: what was acknowledged stands where it was said, the rest is known by trying again."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bus import streams, subjects
from bus.connection import Bus, Outgoing, Stored
from bus.errors import Unavailable
from bus.settings import BusSettings
from cerebro.embedded.nats import NatsServer
from schemas.learning import Lesson

pytestmark = pytest.mark.faults
PUBLISHERS = 60
KILLS = 4
BETWEEN_KILLS_S = 0.7
READ_S = 10.0
BATCH = "Nats-Batch-Id"


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    started = NatsServer(tmp_path / "nats", tmp_path / "nats.log")
    await started.start()
    yield started
    await started.stop()


class Publishers:
    """Many that publish without a pause, a message under its topic as id; what became of each."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.acknowledged: dict[str, Stored] = {}
        self.unknown: list[str] = []
        self.stop = False

    async def publish(self, name: int) -> None:
        number = 0
        while not self.stop:
            number += 1
            topic = f"t-{name}-{number}"
            try:
                self.acknowledged[topic] = await self.put(topic)
            except Unavailable:
                self.unknown.append(topic)
                await asyncio.sleep(0.05)

    async def put(self, topic: str) -> Stored:
        return await self._bus.put(
            Outgoing(row=subjects.LESSON, body=Lesson(topic=topic, content="c"), tokens={"agent": "ops"}, msg_id=topic)
        )


@pytest.mark.timeout(180)
async def test_what_was_acknowledged_in_a_group_stands_and_the_rest_is_known_by_trying_again(server: NatsServer) -> None:
    settings = BusSettings(nats_url=server.url, publish_timeout_s=1)
    await streams.declare(settings)
    bus = await Bus.connect(settings, "test")
    publishers = Publishers(bus)
    tasks = [asyncio.create_task(publishers.publish(name), name=f"publisher {name}") for name in range(PUBLISHERS)]
    for _ in range(KILLS):
        await asyncio.sleep(BETWEEN_KILLS_S)
        os.kill(server.pid, signal.SIGKILL)
        await asyncio.sleep(BETWEEN_KILLS_S)
        await server.stop()
        await server.start()
    await connected(bus)
    publishers.stop = True
    await asyncio.gather(*tasks)

    stands = await everything(bus)
    places = {headers["Nats-Msg-Id"]: seq for seq, headers in stands.items()}
    assert sum(BATCH in headers for headers in stands.values()) > len(stands) / 2, "they were hardly ever grouped"
    assert {topic: stored.seq for topic, stored in publishers.acknowledged.items()}.items() <= places.items()
    assert len(places) == len(stands), "something stands twice"
    assert publishers.unknown, "no kill hit anything"

    again = {topic: await publishers.put(topic) for topic in publishers.unknown}
    assert {topic for topic, stored in again.items() if stored.duplicate} == places.keys() & again.keys()
    ids = Counter(headers["Nats-Msg-Id"] for headers in (await everything(bus)).values())
    assert ids == dict.fromkeys([*publishers.acknowledged, *publishers.unknown], 1)
    await bus.close()


async def connected(bus: Bus) -> None:
    while not bus.connected:
        await asyncio.sleep(0.05)


async def everything(bus: Bus) -> dict[int, dict[str, str]]:
    """The headers of what stands in the log, by its place."""
    found: dict[int, dict[str, str]] = {}
    reading = await bus.js.subscribe(">", stream=bus.stream(subjects.MESH), ordered_consumer=True)
    while True:
        message = await reading.next_msg(timeout=READ_S)
        found[message.metadata.sequence.stream] = message.headers or {}
        if message.metadata.num_pending == 0:
            await reading.unsubscribe()
            return found
