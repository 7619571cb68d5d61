"""What the server does with the bytes of an erased message, and with everything around it."""

import asyncio
import secrets
from pathlib import Path

import pytest

from bus import streams, subjects
from bus.connection import Bus, Outgoing
from bus.direct import PAGE_LEN
from bus.erasing import erase, erase_all, stored
from bus.errors import Conflict, Unavailable
from bus.log import Durable, entries
from bus.settings import BusSettings
from cerebro.embedded.nats import NatsServer
from schemas.learning import Lesson
from schemas.memory import Action
from tests.fuzz.wire import Wire
from tests.integration.traces import in_files


@pytest.fixture
def store(servers_folder: Path) -> Path:
    return servers_folder / "nats"


def note(text: str, agent: str = "ops") -> Outgoing:
    return Outgoing(row=subjects.EPISODE, body=Action(action_type="note", action_details={"text": text}), tokens={"agent": agent})


def word() -> str:
    return f"w{secrets.token_hex(12)}"


async def places(bus: Bus) -> list[int]:
    return [entry.seq for entry in await entries(bus, [subjects.EPISODE.wildcard])]


class TestErase:
    async def test_its_bytes_are_gone_and_its_neighbours_stand_where_they_stood(self, bus: Bus, store: Path) -> None:
        alone, in_batch, last = word(), word(), word()
        first = await bus.put(note(alone))
        batch = await bus.publish_batch([note(in_batch if n == 3 else f"n{n}") for n in range(6)])
        end = await bus.put(note(last))
        assert all(in_files(store, text) for text in (alone, in_batch, last))
        erased = [first.seq, batch[3].seq, end.seq]
        assert await erase_all(bus, bus.stream(subjects.MESH), erased) == 3
        assert not [text for text in (alone, in_batch, last) if in_files(store, text)]
        assert await places(bus) == [seq for seq in range(first.seq, end.seq) if seq not in erased]
        assert (await bus.put(note("after"))).seq == end.seq + 1

    async def test_a_second_time_there_is_nothing_to_erase(self, bus: Bus) -> None:
        stored_at = await bus.put(note("x"))
        stream = bus.stream(subjects.MESH)
        assert [await erase(bus, stream, seq) for seq in (stored_at.seq, stored_at.seq, 10**6)] == [True, False, False]

    async def test_what_is_expected_of_other_subjects_still_holds(self, bus: Bus) -> None:
        kept = await bus.put(note("kept", "kept"))
        gone = await bus.put(note("gone", "gone"))
        await erase(bus, bus.stream(subjects.MESH), gone.seq)
        with pytest.raises(Conflict):
            await bus.publish(subjects.EPISODE, Action(action_type="a"), agent="kept", expect_last_seq=0)
        await bus.publish(subjects.EPISODE, Action(action_type="a"), agent="kept", expect_last_seq=kept.seq)
        await bus.publish(subjects.EPISODE, Action(action_type="a"), agent="gone", expect_last_seq=0)

    async def test_a_durable_consumer_goes_over_the_hole_also_while_it_holds_the_message(self, bus: Bus) -> None:
        for n in range(4):
            await bus.put(note(f"n{n}"))
        durable = Durable(bus, name="holes", filters=subjects.MESH_SUBJECTS, batch_max=2, ack_wait_s=0.5)
        seen: list[int] = []
        async with asyncio.timeout(20):
            async for batch in durable:
                if not seen:  # erased before it was acknowledged, and the one after the batch before it was delivered
                    await erase_all(bus, bus.stream(subjects.MESH), [batch[0].entry.seq, 4])
                    seen = [batch[0].entry.seq]
                    continue
                for delivery in batch:
                    seen.append(delivery.entry.seq)
                    await delivery.msg.ack()
                if 3 in seen and 2 in seen:
                    break
        assert seen.count(1) == 1
        assert 4 not in seen

    async def test_a_copy_among_the_lessons_stays_until_it_is_erased_itself(self, bus: Bus, store: Path) -> None:
        said = word()
        await bus.publish(subjects.LESSON, Lesson(topic="t", content=said), agent="aria")
        lessons = bus.stream(subjects.LESSONS)
        async with asyncio.timeout(10):
            while not (copies := [msg async for msg in stored(bus, lessons)]):
                await asyncio.sleep(0.05)
        await erase(bus, bus.stream(subjects.MESH), 1)
        assert in_files(store, said)
        await erase(bus, lessons, copies[0].seq)
        assert not in_files(store, said)

    async def test_a_value_of_a_bucket_can_be_erased_and_its_key_written_again(self, bus: Bus, store: Path) -> None:
        said, bucket = word(), await bus.kv("idempotency")
        revision = await bucket.put("key", said.encode())
        assert await erase(bus, f"KV_{bus.stream('idempotency')}", revision)
        assert not in_files(store, said)
        await bucket.create("key", b"again")

    async def test_where_the_server_forbids_it_that_is_said(self, bus: Bus) -> None:
        with pytest.raises(Unavailable, match="not permitted"):
            await erase(bus, f"KV_{bus.stream('presence')}", 1)


class TestStored:
    async def test_everything_is_read_in_order_over_pages_and_holes(self, bus: Bus) -> None:
        await bus.publish_batch([note(f"n{n}") for n in range(PAGE_LEN + 100)])
        holes = {1, 2, PAGE_LEN, PAGE_LEN + 1, PAGE_LEN + 100}
        await erase_all(bus, bus.stream(subjects.MESH), holes)
        read = [msg.seq async for msg in stored(bus, bus.stream(subjects.MESH))]
        assert read == [seq for seq in range(1, PAGE_LEN + 101) if seq not in holes]

    async def test_a_message_with_a_status_of_its_own_is_a_message(self, bus: Bus) -> None:
        wire = await Wire.connect(bus.settings)
        try:
            for block in (b"NATS/1.0\r\nStatus: -1\r\n\r\n", b"NATS/1.0 404 No Messages\r\n\r\n", b"NATS/1.0 204\r\n\r\n", b"\x00" * 40):
                await wire.ask(bus.wire(subjects.EPISODE.subject(agent="ops")).encode(), block, b"{}", 5.0)
        finally:
            await wire.close()
        assert [msg.seq async for msg in stored(bus, bus.stream(subjects.MESH))] == [1, 2, 3, 4]

    async def test_an_empty_stream_has_nothing(self, bus: Bus) -> None:
        assert [msg async for msg in stored(bus, bus.stream(subjects.DEAD))] == []


class TestBuckets:
    async def test_one_that_forbade_erasing_is_made_anew(self, bus: Bus, bus_settings: BusSettings) -> None:
        name = f"KV_{bus.stream('idempotency')}"
        config = (await bus.api(f"STREAM.INFO.{name}", {}))["config"]
        await bus.api(f"STREAM.DELETE.{name}", {})
        await bus.api(f"STREAM.CREATE.{name}", {**config, "deny_delete": True})
        await streams.declare(bus_settings)
        assert not (await bus.api(f"STREAM.INFO.{name}", {}))["config"].get("deny_delete", False)


async def test_the_bytes_are_gone_also_after_the_server_was_killed(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats", tmp_path / "nats.log")
    await server.start()
    settings = BusSettings(nats_url=server.url, log_bytes_max=64 * 1024**2)
    said = word()
    try:
        await streams.declare(settings)
        bus = await Bus.connect(settings, "test")
        await bus.put(note("before"))
        last = await bus.put(note(said))
        await erase(bus, subjects.MESH, last.seq)
        await bus.close()
        await server.child.kill()
        assert not in_files(tmp_path, said)
        await server.start()
        bus = await Bus.connect(settings, "test")
        assert await places(bus) == [1]
        assert (await bus.put(note("after"))).seq == last.seq + 1
        await bus.close()
        assert not in_files(tmp_path, said)
    finally:
        await server.stop()
