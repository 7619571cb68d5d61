"""One suite on the virtual server and on the real one: what the simulation takes for granted is what NATS does."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from bus import streams, subjects
from bus.connection import Bus, Outgoing
from bus.errors import Conflict
from bus.log import entries
from bus.settings import BusSettings
from schemas.consensus import Deadline, Opened, Vote
from schemas.entry import Entry
from schemas.learning import Lesson
from schemas.words import rfc3339
from tests.simulation.client import VirtualClient
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import PEACE, Network
from tests.simulation.server import START_S, VirtualServer

LESSON_A = Lesson(topic="a", content="c")
WINDOW_S = 1.0
OPENED = Opened(title="t", proposer="ops", deadline="2027-01-01T00:00:00Z", electorate=["ops"])
Story = Callable[[Bus], Awaitable[None]]
Play = Callable[[Story], Awaitable[None]]


def on_virtual_server(story: Story) -> None:
    """The story in virtual time."""
    loop = VirtualLoop()
    network = Network(random.Random(0), PEACE)
    client = VirtualClient(loop, VirtualServer(loop, WINDOW_S), network, lambda subject, data: None)
    clock: Callable[[], float] = lambda: START_S + loop.time()  # noqa: E731
    bus = Bus(BusSettings(), None, client, clock)  # type: ignore[arg-type]
    task: asyncio.Task[Any] = loop.create_task(_told(story, bus))
    loop.run(3_600, task.done)
    assert task.done(), "the story does not end"
    task.result()


async def _told(story: Story, bus: Bus) -> None:
    await story(bus)


@pytest.fixture(params=["virtual", "real"])
async def play(request: pytest.FixtureRequest, nats_url: str, prefix: str) -> AsyncIterator[Play]:
    """Plays a story on the virtual server, or on the real one."""
    if request.param == "virtual":
        yield partial(asyncio.to_thread, on_virtual_server)
        return
    settings = BusSettings(nats_url=nats_url, prefix=prefix, duplicate_window_s=WINDOW_S, log_bytes_max=64 * 1024**2)
    await streams.declare(settings)
    bus = await Bus.connect(settings, "contract")
    yield lambda story: story(bus)
    await bus.close()


def lesson(topic: str = "t", **more: Any) -> Outgoing:
    return Outgoing(row=subjects.LESSON, body=Lesson(topic=topic, content="c"), tokens={"agent": "ops"}, **more)


async def topics(bus: Bus) -> list[str]:
    return [e.body.topic for e in await entries(bus, [subjects.LESSON.wildcard]) if isinstance(e, Entry)]


class TestIds:
    async def test_a_known_id_is_a_duplicate_of_the_first(self, play: Play) -> None:
        async def story(bus: Bus) -> None:
            first, again = await bus.put(lesson("a", msg_id="one")), await bus.put(lesson("b", msg_id="one"))
            assert (again.seq, again.duplicate, first.duplicate) == (first.seq, True, False)
            assert await topics(bus) == ["a"]

        await play(story)

    async def test_an_id_is_forgotten_after_the_window(self, play: Play) -> None:
        async def story(bus: Bus) -> None:
            await bus.put(lesson("a", msg_id="one"))
            await asyncio.sleep(WINDOW_S * 2.5)
            again = await bus.put(lesson("b", msg_id="one"))
            assert not again.duplicate
            assert await topics(bus) == ["a", "b"]

        await play(story)

    async def test_one_s_own_write_sent_again_is_a_conflict_where_it_has_an_expectation(self, play: Play) -> None:
        async def story(bus: Bus) -> None:
            await bus.publish(subjects.OPENED, OPENED, proposal="p", msg_id="one", expect_last_seq=0)
            with pytest.raises(Conflict):
                await bus.publish(subjects.OPENED, OPENED, proposal="p", msg_id="one", expect_last_seq=0)

        await play(story)


class TestCompareAndSet:
    async def test_only_the_first_on_a_subject_is_taken(self, play: Play) -> None:
        async def story(bus: Bus) -> None:
            await bus.publish(subjects.OPENED, OPENED, proposal="p", expect_last_seq=0)
            with pytest.raises(Conflict):
                await bus.publish(subjects.OPENED, OPENED, proposal="p", expect_last_seq=0)
            await bus.publish(subjects.OPENED, OPENED, proposal="q", expect_last_seq=0)

        await play(story)

    async def test_it_can_cover_everything_about_a_proposal(self, play: Play) -> None:
        async def story(bus: Bus) -> None:
            whole = subjects.aggregate(subjects.VOTE, proposal="p")
            await bus.publish(subjects.OPENED, OPENED, proposal="p")
            last = await bus.publish(subjects.VOTE, Vote(choice="approve"), proposal="p", agent="ops")
            with pytest.raises(Conflict):
                await bus.publish(subjects.DEADLINE, Deadline(), proposal="p", expect_last_seq=last.seq - 1, expect_subject=whole)
            await bus.publish(subjects.DEADLINE, Deadline(), proposal="p", expect_last_seq=last.seq, expect_subject=whole)

        await play(story)

    async def test_it_can_cover_a_subject_and_those_beside_it(self, play: Play) -> None:
        async def story(bus: Bus) -> None:
            ours = subjects.beside(subjects.OPENED, proposal="p")
            await bus.publish(subjects.VOTE, Vote(choice="approve"), proposal="p", agent="ops")
            await bus.publish(subjects.OPENED, OPENED, proposal="p", expect_last_seq=0, expect_subject=ours)
            with pytest.raises(Conflict):
                await bus.publish(subjects.DEADLINE, Deadline(), proposal="p", expect_last_seq=0, expect_subject=ours)

        await play(story)


class TestBatches:
    async def test_a_batch_stands_side_by_side(self, play: Play) -> None:
        async def story(bus: Bus) -> None:
            stored = await bus.publish_batch([lesson(f"t{i}") for i in range(5)])
            assert [s.seq for s in stored] == list(range(stored[0].seq, stored[0].seq + 5))
            assert await topics(bus) == [f"t{i}" for i in range(5)]

        await play(story)

    async def test_a_failed_expectation_refuses_the_whole_batch(self, play: Play) -> None:
        async def story(bus: Bus) -> None:
            await bus.put(lesson("before"))
            with pytest.raises(Conflict):
                await bus.publish_batch([lesson("new"), lesson("late", expect_last_seq=0)])
            assert await topics(bus) == ["before"]

        await play(story)

    async def test_a_batch_with_a_duplicate_stores_the_rest_once(self, play: Play) -> None:
        async def story(bus: Bus) -> None:
            await bus.put(lesson("a", msg_id="one"))
            stored = await bus.publish_batch([lesson("a", msg_id="one"), lesson("b", msg_id="two")])
            assert [s.duplicate for s in stored] == [True, False]
            assert await topics(bus) == ["a", "b"]

        await play(story)

    async def test_a_batch_that_lost_a_message_on_the_way_stores_nothing(self, play: Play) -> None:
        async def story(bus: Bus) -> None:
            subject = bus.wire(subjects.LESSON.subject(agent="ops"))
            closing = {"Nats-Batch-Id": "torn", "Nats-Batch-Sequence": "2", "Nats-Batch-Commit": "1"}
            reply = await bus._request(subject, b'{"topic": "t", "content": "c"}', closing, 2.0)
            assert b'"err_code":10176' in reply.data
            assert await topics(bus) == []

        await play(story)


class TestKeptLessons:
    async def test_a_kept_lesson_has_its_place_and_id_in_the_log_and_a_later_time(self, play: Play) -> None:
        async def story(bus: Bus) -> None:
            await bus.put(Outgoing(row=subjects.OPENED, body=OPENED, tokens={"proposal": "p"}))
            stored = await bus.put(lesson("a"))
            kept: list[Any] = []
            for _ in range(100):
                kept = kept or await entries(bus, [subjects.LESSON.wildcard], stream=subjects.LESSONS)
                await asyncio.sleep(0.02)
            [logged] = await entries(bus, [subjects.LESSON.wildcard])
            assert [(k.seq, k.event_id, k.body) for k in kept] == [(stored.seq, stored.event_id, LESSON_A)]
            assert kept[0].time > logged.time

        await play(story)


class TestSchedules:
    async def test_the_server_writes_the_deadline_when_it_comes(self, play: Play) -> None:
        async def story(bus: Bus) -> None:
            at = rfc3339(bus.now() + timedelta(seconds=1))
            target = bus.wire(subjects.TIME_IS_UP.subject(proposal="p"))
            schedule = {"Nats-Schedule": f"@at {at}", "Nats-Schedule-Target": target}
            opened = Outgoing(row=subjects.OPENED, body=OPENED, tokens={"proposal": "p"}, expect_last_seq=0)
            await bus.put(opened)
            await bus.publish(subjects.TIMER, Deadline(proposal="p"), headers=schedule, proposal="p")
            found: list[Any] = []
            while not found:
                assert rfc3339(bus.now()) < rfc3339(bus.now() + timedelta(seconds=30))
                await asyncio.sleep(0.1)
                found = await entries(bus, [subjects.DEADLINE.subject(proposal="p")])
            assert rfc3339(found[0].time) >= at
            assert [e.name for e in await entries(bus, [subjects.PROTOCOLS])] == ["consensus.opened", "consensus.deadline"]

        await play(story)
