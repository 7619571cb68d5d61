"""Headers that no client library writes: whoever reads the log reads on."""

import asyncio

import pytest

from bus import subjects
from bus.connection import Bus
from bus.erasing import stored
from bus.log import entries
from schemas.entry import Entry, Malformed
from tests.bus.test_received import UNREADABLE
from tests.fuzz.wire import Wire

LESSON = b'{"topic": "t", "content": "c"}'


@pytest.mark.parametrize("block", UNREADABLE)
async def test_an_entry_with_unreadable_headers_is_read_and_so_is_what_comes_after_it(bus: Bus, block: bytes) -> None:
    wire = await Wire.connect(bus.settings)
    try:
        await wire.ask(bus.wire("mesh.learning.ops").encode(), block, LESSON, 5.0)
    finally:
        await wire.close()
    await bus.publish(subjects.LESSON, LESSON, msg_id="after", agent="ops")
    found = await entries(bus, [subjects.LESSON.wildcard])
    assert [isinstance(entry, Entry) for entry in found] == [True, True]
    assert found[1].event_id == "after"


async def test_a_question_with_unreadable_headers_does_not_make_the_service_deaf(bus: Bus) -> None:
    heard = asyncio.Event()

    async def hear(_message: object) -> None:
        heard.set()

    await bus.nc.subscribe(bus.wire("ask.agents"), cb=hear)
    await bus.nc.flush()
    wire = await Wire.connect(bus.settings)
    try:
        for block in UNREADABLE:
            heard.clear()
            await wire.send(bus.wire("ask.agents").encode(), block, b"{}")
            async with asyncio.timeout(10):
                await heard.wait()
    finally:
        await wire.close()


@pytest.mark.parametrize("status", ["404", "503", "204", "x"])
async def test_an_entry_without_a_body_whose_headers_speak_as_the_server_is_an_entry(bus: Bus, status: str) -> None:
    wire = await Wire.connect(bus.settings)
    try:
        await wire.ask(bus.wire("mesh.learning.ops").encode(), b"NATS/1.0\r\nStatus: %s\r\n\r\n" % status.encode(), b"", 5.0)
    finally:
        await wire.close()
    entry = await bus.entry_at(1)
    assert isinstance(entry, Malformed)
    assert (entry.seq, entry.subject, entry.data) == (1, "mesh.learning.ops", b"")
    assert await bus.entry_at(2) is None


async def test_a_forged_place_in_the_log_is_not_believed(bus: Bus) -> None:
    wire = await Wire.connect(bus.settings)
    try:
        forged = b"NATS/1.0\r\nNats-Stream-Source : MESH 4711 > >\r\n\r\n"
        await wire.ask(bus.wire("mesh.learning.ops").encode(), forged, LESSON, 5.0)
    finally:
        await wire.close()
    (entry,) = await entries(bus, [subjects.LESSON.wildcard])
    assert entry.seq == 1


async def test_a_forged_place_is_not_believed_where_the_server_hands_it_out(bus: Bus) -> None:
    forged = b"Nats-Sequence: 4711\r\nNats-Subject: mesh.learning.nexus\r\nNats-Time-Stamp: x\r\nNats-Stream: x\r\nNats-Last-Sequence: 9"
    wire = await Wire.connect(bus.settings)
    try:
        for _ in range(2):
            await wire.ask(bus.wire("mesh.learning.ops").encode(), b"NATS/1.0\r\n%s\r\n\r\n" % forged, LESSON, 5.0)
    finally:
        await wire.close()
    found = [(standing.seq, bus.plain(standing.subject)) async for standing in stored(bus, bus.stream(subjects.MESH))]
    assert found == [(1, "mesh.learning.ops"), (2, "mesh.learning.ops")]
    assert (await bus.entry_at(2)).subject == "mesh.learning.ops"  # type: ignore[union-attr]
