"""The bus against a real server: what is acknowledged is there, once; what fails says so; readers survive a restart."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bus import presence, streams, subjects
from bus.cancelling import end
from bus.connection import Bus, Outgoing, Stored
from bus.delivery import Ack, Retry, Terminal, settle
from bus.errors import CerebroError, Conflict, Refused, TimedOut, TooLarge, Unavailable, not_found
from bus.health import check
from bus.log import Durable, entries, follow
from bus.service import Service
from bus.settings import BusSettings
from cerebro.embedded.nats import NatsServer
from schemas.consensus import Deadline, Opened
from schemas.emotion import Affect
from schemas.entry import Entry, Malformed
from schemas.learning import Lesson
from schemas.members import AgentsView, Ask, AskAll

LESSON = Lesson(topic="t", content="c")
LEARNING = ["mesh.learning.>"]
PATIENCE_S = 30.0
"""Longest wait for anything; never the measure of a test."""


@pytest_asyncio.fixture
async def bus(nats_url: str, prefix: str) -> AsyncIterator[Bus]:
    settings = BusSettings(nats_url=nats_url, prefix=prefix, publish_timeout_s=3)
    await streams.declare(settings)
    connection = await Bus.connect(settings, "test")
    yield connection
    await connection.close()


def lesson(topic: str = "t", **more: Any) -> Outgoing:
    return Outgoing(row=subjects.LESSON, body=Lesson(topic=topic, content="c"), tokens={"agent": "ops"}, **more)


class TestPublish:
    async def test_the_same_id_is_stored_once(self, bus: Bus) -> None:
        first = await bus.publish(subjects.LESSON, LESSON, msg_id="one", agent="ops")
        again = await bus.publish(subjects.LESSON, LESSON, msg_id="one", agent="ops")
        assert (again.seq, again.duplicate, first.duplicate) == (first.seq, True, False)
        assert len(await entries(bus, LEARNING)) == 1

    async def test_a_lost_compare_and_set_is_a_conflict(self, bus: Bus) -> None:
        opened = Opened(title="t", proposer="ops", deadline="2027-01-01T00:00:00Z", electorate=["ops"])
        await bus.publish(subjects.OPENED, opened, proposal="p", expect_last_seq=0)
        with pytest.raises(Conflict):
            await bus.publish(subjects.OPENED, opened, proposal="p", expect_last_seq=0)

    async def test_compare_and_set_can_cover_a_whole_aggregate(self, bus: Bus) -> None:
        everything = subjects.aggregate(subjects.VOTE, proposal="p")
        stored = await bus.publish(
            subjects.OPENED, Opened(title="t", proposer="ops", deadline="2027-01-01T00:00:00Z", electorate=["ops"]), proposal="p"
        )
        with pytest.raises(Conflict):
            await bus.publish(subjects.DEADLINE, Deadline(), proposal="p", expect_last_seq=0, expect_subject=everything)
        await bus.publish(subjects.DEADLINE, Deadline(), proposal="p", expect_last_seq=stored.seq, expect_subject=everything)

    async def test_a_batch_stands_side_by_side_in_the_log(self, bus: Bus) -> None:
        stored = await bus.publish_batch([lesson(f"t{i}") for i in range(100)])
        assert [s.seq for s in stored] == list(range(stored[0].seq, stored[0].seq + 100))
        assert [e.body.topic for e in await entries(bus, LEARNING) if isinstance(e, Entry)] == [f"t{i}" for i in range(100)]

    async def test_a_batch_with_a_failed_expectation_stores_nothing(self, bus: Bus) -> None:
        await bus.put(lesson())
        with pytest.raises(Conflict):
            await bus.publish_batch([lesson("new"), lesson("late", expect_last_seq=0)])
        assert len(await entries(bus, LEARNING)) == 1

    async def test_many_at_once_share_writes_and_each_hears_of_its_own(self, bus: Bus) -> None:
        await bus.put(lesson("known", msg_id="known"))
        huge = Outgoing(row=subjects.LESSON, body=Lesson(topic="huge", content="x" * 1_100_000), tokens={"agent": "ops"})
        putting = [bus.put(lesson(f"t{i}", msg_id=f"id-{i}")) for i in range(300)]
        fates = await asyncio.gather(*putting, bus.put(lesson("known", msg_id="known")), bus.put(huge), return_exceptions=True)
        *many, known, too_large = fates
        assert isinstance(too_large, TooLarge)
        assert isinstance(known, Stored)
        assert (known.seq, known.duplicate) == (1, True)
        there = {e.seq: e.body.topic for e in await entries(bus, LEARNING) if isinstance(e, Entry)}
        assert [there[s.seq] for s in many if isinstance(s, Stored)] == [f"t{i}" for i in range(300)]

    async def test_a_batch_that_is_sent_again_doubles_nothing(self, bus: Bus) -> None:
        batch = [lesson(f"t{i}", msg_id=f"id-{i}") for i in range(5)]
        first, again = await bus.publish_batch(batch), await bus.publish_batch(batch)
        assert [s.seq for s in again] == [s.seq for s in first]
        assert len(await entries(bus, LEARNING)) == 5

    async def test_a_body_larger_than_the_log_takes_is_told_so(self, bus: Bus) -> None:
        with pytest.raises(TooLarge):
            await bus.publish(subjects.LESSON, Lesson(topic="t", content="x" * 1_100_000), agent="ops")

    async def test_the_deadline_is_written_by_the_server(self, bus: Bus) -> None:
        target = bus.wire(subjects.TIME_IS_UP.subject(proposal="p"))
        schedule = {"Nats-Schedule": "@at 2020-01-01T00:00:00Z", "Nats-Schedule-Target": target}
        await bus.publish(subjects.TIMER, Deadline(proposal="p"), headers=schedule, proposal="p")
        async with asyncio.timeout(PATIENCE_S):
            async for batch in follow(bus, [subjects.DEADLINE.wildcard]):
                if batch:
                    break
        assert [e.name for e in batch if isinstance(e, Entry)] == ["consensus.deadline"]


class TestStreamsOfAnEarlierBuild:
    async def test_they_go_on_with_what_cannot_be_taken_back_and_it_is_said(
        self, nats_url: str, prefix: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings = BusSettings(nats_url=nats_url, prefix=prefix, log_bytes_max=64 * 1024**2)
        bus = await Bus.connect(settings, "test")
        wanted = {config["name"]: config for config in streams.declared(bus)}
        log, presence_ = bus.stream(subjects.MESH), f"KV_{bus.stream('presence')}"
        former = {
            log: {k: v for k, v in wanted[log].items() if k != "sources"} | {"allow_msg_schedules": True, "allow_rollup_hdrs": True},
            presence_: wanted[presence_] | {"allow_msg_ttl": True, "subject_delete_marker_ttl": 1_000_000_000, "allow_rollup_hdrs": True},
        }
        for name, config in former.items():
            assert "error" not in await bus.api(f"STREAM.CREATE.{name}", config)
        kept = await bus.put(lesson())
        await streams.declare(settings)
        assert "Nats-Rollup" in caplog.text
        assert await bus.entry_at(kept.seq) is not None
        known = (await bus.api(f"STREAM.INFO.{presence_}", {}))["config"]
        assert (known.get("allow_rollup_hdrs", False), known.get("subject_delete_marker_ttl")) == (False, None)
        await bus.close()


class TestDerivedByTheServer:
    async def test_lessons_are_kept_in_their_own_stream_with_their_place_in_the_log(self, bus: Bus) -> None:
        await bus.publish(subjects.AFFECT, Affect(valence=0, arousal=0, dominance=0), agent="ops")
        stored = await bus.put(lesson())
        async with asyncio.timeout(PATIENCE_S):
            while not (kept := await entries(bus, LEARNING, stream=subjects.LESSONS)):
                await asyncio.sleep(0.05)
        assert [(e.seq, e.event_id) for e in kept] == [(stored.seq, stored.event_id)]

    async def test_no_publisher_says_where_its_entry_stands(self, bus: Bus) -> None:
        """By this header the server says where a copy came from."""
        with pytest.raises(Unavailable, match="source header is not allowed"):
            await bus.put(lesson(headers={"Nats-Stream-Source": f"{bus.stream(subjects.MESH)} 1 > >"}))

    async def test_the_affect_bucket_holds_the_last_state(self, bus: Bus) -> None:
        for valence in (0.1, 0.2):
            await bus.publish(subjects.AFFECT, Affect(valence=valence, arousal=0, dominance=0), agent="ops")
        bucket = await bus.kv("affect")
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    value = (await bucket.get("ops")).value or b""
                except Exception:  # noqa: BLE001 - not there yet; the timeout decides
                    value = b""
                if b"0.2" in value:
                    break
                await asyncio.sleep(0.05)

    async def test_what_was_accepted_is_republished_and_what_was_refused_is_not(self, bus: Bus) -> None:
        heard = await bus.nc.subscribe(bus.wire("log.>"))
        opened = Opened(title="t", proposer="ops", deadline="2027-01-01T00:00:00Z", electorate=["ops"])
        await bus.publish(subjects.OPENED, opened, proposal="p", expect_last_seq=0)
        with pytest.raises(Conflict):
            await bus.publish(subjects.OPENED, opened, proposal="p", expect_last_seq=0)
        await bus.put(lesson())
        assert [bus.plain((await heard.next_msg(5)).subject) for _ in range(2)] == ["log.mesh.consensus.p.opened", "log.mesh.learning.ops"]


class TestAsk:
    async def test_nobody_there_is_unavailable_at_once(self, bus: Bus) -> None:
        with pytest.raises(Unavailable):
            await bus.ask(subjects.ASK_AGENTS, AskAll())

    async def test_the_answer_the_refusal_and_the_bad_body(self, bus: Bus) -> None:
        async def answer(ask: Ask) -> AgentsView:
            if ask.id == "unknown":
                raise not_found("no such thing")
            if ask.id == "crash":
                raise RuntimeError("secret detail")
            if ask.id == "everything":
                return AgentsView(total_connected=0, mesh_topology="x" * 3_000_000, agents={})
            return AgentsView(total_connected=0, mesh_topology="mesh_consensus", agents={})

        service = Service(bus, "mesh", "test")
        service.answer(subjects.ASK_LESSON, answer)
        await service.start()
        for body, status, told in (
            (Ask(id="unknown"), 404, "no such thing"),
            (b'{"id": 5}', 400, "$.id"),
            (Ask(id="crash"), 500, "RuntimeError"),
            (Ask(id="everything"), 413, "more than the server takes"),
        ):
            with pytest.raises(Refused) as refused:
                await bus.ask(subjects.ASK_LESSON, body)
            problem = refused.value.problem()
            assert problem.status == status
            assert told in problem.detail + str([e.path for e in problem.errors])
            assert "secret" not in problem.detail
        await service.stop()

    @pytest.mark.parametrize("away", [Unavailable("PostgreSQL: starting up"), TimedOut("it has not said within 3 s")])
    async def test_who_answers_that_something_is_away_or_late_is_as_if_it_were_itself(self, bus: Bus, away: CerebroError) -> None:
        async def answer(_: Ask) -> AgentsView:
            raise away

        service = Service(bus, "mesh", "test")
        service.answer(subjects.ASK_LESSON, answer)
        await service.start()
        with pytest.raises(type(away), match=str(away)):
            await bus.ask(subjects.ASK_LESSON, Ask(id="any"))
        await service.stop()

    async def test_slow_answers_do_not_hold_up_others(self, bus: Bus) -> None:
        together = asyncio.Barrier(20)

        async def answer(_: AskAll) -> AgentsView:
            await together.wait()
            return AgentsView(total_connected=0, mesh_topology="mesh_consensus", agents={})

        service = Service(bus, "mesh", "test")
        service.answer(subjects.ASK_AGENTS, answer, concurrency_max=20)
        await service.start()
        await asyncio.gather(*(bus.ask(subjects.ASK_AGENTS, AskAll(), timeout_s=PATIENCE_S) for _ in range(20)))
        await service.stop()

    async def test_questions_on_their_way_or_under_way_when_it_stops_are_told_so(self, bus: Bus) -> None:
        begun = asyncio.Event()

        async def answer(_: AskAll) -> AgentsView:
            begun.set()
            await asyncio.Event().wait()
            raise AssertionError

        service = Service(bus, "mesh", "test")
        service.answer(subjects.ASK_AGENTS, answer, concurrency_max=10)
        await service.start()
        asker = await Bus.connect(bus.settings, "asker")
        asked = [asyncio.create_task(asker.ask(subjects.ASK_AGENTS, AskAll(), timeout_s=20)) for _ in range(30)]
        await begun.wait()
        more = asker.nc.new_inbox()
        heard = await asker.nc.subscribe(more)
        for _ in range(100):
            await asker.nc.publish(bus.wire(subjects.ASK_AGENTS.subject()), b"{}", reply=more)
        await asker.nc.flush()  # they are on their way to the service, which has not looked yet
        await service.stop()
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(e) for e in told] == [Unavailable] * 30
        assert "stops; ask again" in str(told[0])
        assert {(await heard.next_msg(timeout=20)).headers["Nats-Service-Error-Code"] for _ in range(100)} == {"503"}
        await asker.close()


class TestDurable:
    async def test_outcomes_are_kept(self, bus: Bus) -> None:
        for topic in ("good", "later", "never"):
            await bus.put(lesson(topic))
        await bus.nc.publish(bus.wire("mesh.learning.ops"), b"not json")
        seen: list[tuple[str, int]] = []
        async with asyncio.timeout(10):
            async for deliveries in Durable(bus, name="worker", filters=LEARNING):
                for d in deliveries:
                    topic = "malformed" if isinstance(d.entry, Malformed) else d.entry.body.topic
                    seen.append((topic, d.delivered))
                    outcome = {"later": Retry(0.1) if d.delivered == 1 else Ack(), "never": Terminal("no"), "malformed": Terminal("bad")}
                    await settle(bus, d, outcome.get(topic, Ack()))
                if ("later", 2) in seen:
                    break
        assert sorted(seen) == [("good", 1), ("later", 1), ("later", 2), ("malformed", 1), ("never", 1)]
        dead = await entries(bus, ["dead.>"], stream=subjects.DEAD)
        assert [e.body.reason for e in dead if isinstance(e, Entry)] == ["no", "bad"]


class Readers:
    """A follower and a durable worker, each keeping the topics it saw."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.followed: list[str] = []
        self.worked: list[str] = []

    async def follows(self) -> None:
        async for batch in follow(self.bus, LEARNING):
            self.followed.extend(e.body.topic for e in batch if isinstance(e, Entry))

    async def works(self) -> None:
        async for deliveries in Durable(self.bus, name="worker", filters=LEARNING, ack_wait_s=2):
            for d in deliveries:
                if isinstance(d.entry, Entry) and d.entry.body.topic not in self.worked:
                    self.worked.append(d.entry.body.topic)
                await settle(self.bus, d, Ack())

    def have(self, topics: list[str]) -> bool:
        return {*topics} <= {*self.followed} and {*topics} <= {*self.worked}


async def publish_over_a_kill(bus: Bus, server: NatsServer) -> list[str]:
    """Publish 60 lessons while the server is killed and started again; what was acknowledged."""
    acknowledged = []
    for i in range(60):
        if i == 20:
            os.kill(server.pid, signal.SIGKILL)
        if i == 30:
            await server.stop()
            await server.start()
        try:
            await bus.put(lesson(f"t{i}", msg_id=f"id-{i}"))
            acknowledged.append(f"t{i}")
        except Unavailable:
            await asyncio.sleep(0.05)
    return acknowledged


async def test_readers_and_publishers_go_on_after_the_server_was_killed(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats", tmp_path / "nats.log")
    await server.start()
    settings = BusSettings(nats_url=server.url, publish_timeout_s=1)
    await streams.declare(settings)
    bus = await Bus.connect(settings, "test")
    readers = Readers(bus)
    tasks = [asyncio.create_task(readers.follows(), name="follows"), asyncio.create_task(readers.works(), name="works")]
    acknowledged = await publish_over_a_kill(bus, server)
    async with asyncio.timeout(20):
        while not readers.have(acknowledged):
            await asyncio.sleep(0.05)
    stored = [e.body.topic for e in await entries(bus, LEARNING) if isinstance(e, Entry)]
    assert len(acknowledged) >= 30
    assert {*acknowledged} <= {*stored}
    assert readers.followed == stored
    assert len(stored) == len({*stored})
    await end(*tasks)
    await bus.close()
    await server.stop()


async def test_health_is_a_real_write(bus: Bus) -> None:
    assert (await check(bus)).status == "healthy"


async def test_two_meshes_share_a_server_by_their_prefix(nats_url: str, bus: Bus) -> None:
    other = BusSettings(nats_url=nats_url, prefix=bus.settings.prefix + "2")
    await streams.declare(other)
    neighbour = await Bus.connect(other, "neighbour")
    await bus.put(lesson())
    assert await entries(neighbour, LEARNING) == []
    await neighbour.close()


async def test_declaring_again_changes_nothing(bus: Bus) -> None:
    before = await bus.log_incarnation()
    await bus.put(lesson())
    await streams.declare(bus.settings)
    bus.incarnation = ""
    assert await bus.log_incarnation() == before
    assert len(await entries(bus, LEARNING)) == 1


class TestPresence:
    async def test_a_put_is_answered_by_the_bucket_alone_however_many_listen(self, bus: Bus) -> None:
        heard = asyncio.Event()

        async def hear(*_: Any) -> None:
            heard.set()

        await presence.listen(bus, hear, hear)
        replies: list[bytes] = []

        async def take(msg: Any) -> None:
            replies.append(msg.data)

        inbox = bus.nc.new_inbox()
        await bus.nc.subscribe(inbox, cb=take)
        await bus.nc.publish(bus.presence_subject("ops", "1"), b'{"role": "r", "skills": []}', reply=inbox)
        await asyncio.wait_for(heard.wait(), 5)
        await bus.publish(subjects.LESSON, LESSON, agent="ops")  # whatever was to be answered is, by now
        await bus.nc.flush()
        assert [b"stream" in reply for reply in replies] == [True]


class TestPresenceBucket:
    async def test_it_is_there_again_after_the_servers_restart(self, tmp_path: Path) -> None:
        server = NatsServer(tmp_path / "nats", tmp_path / "nats.log")
        await server.start()
        try:
            await streams.declare(BusSettings(nats_url=server.url))
            await server.stop()
            await server.start()
            restarted = await Bus.connect(BusSettings(nats_url=server.url), "test")
            try:
                await (await restarted.kv("presence")).put("ops.1", b"{}")
            finally:
                await restarted.close()
        finally:
            await server.stop()

    async def test_one_that_an_earlier_version_kept_in_memory_is_made_anew(self, bus: Bus) -> None:
        name = f"KV_{bus.stream('presence')}"
        known = (await bus.api(f"STREAM.INFO.{name}", {}))["config"]
        del known["persist_mode"]
        await bus.api(f"STREAM.DELETE.{name}", {})
        await bus.api(f"STREAM.CREATE.{name}", known | {"storage": "memory"})
        await streams.declare(bus.settings)
        assert (await bus.api(f"STREAM.INFO.{name}", {}))["config"]["storage"] == "file"


async def test_a_connection_shows_the_time_of_the_log(bus: Bus) -> None:
    """Though its machine shows another: here it is told that it is 1970."""
    right = bus.clock()
    bus._server_clock.heard(0.0, 0.0)
    assert bus.clock() < right - 1_000_000
    await bus.ask_time()
    assert abs(bus.clock() - right) < 60
    stored = await bus.publish(subjects.LESSON, LESSON, agent="ops")
    entry = await bus.entry_at(stored.seq)
    assert entry is not None
    assert abs(entry.time.timestamp() - bus.clock()) < 60
