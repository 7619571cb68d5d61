"""What the log's entries said, erased wherever the server keeps it: the log, what it copies from it, and dead letters."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Callable, Collection, Container
from typing import Any, Final

import msgspec
from nats.aio.msg import Msg

from bus import entries, streams, subjects
from bus.connection import Bus
from bus.erasing import erase_all, sequence, stored
from bus.errors import Unavailable
from bus.ids import event_id
from memory.forgetting.hashes import id_hash
from schemas.dead import DeadLetter
from schemas.forgetting import ForgetRequest

COPYING_S: Final = 10.0
"""Longest wait for the server to have copied into `LESSONS` what is on the log."""
LOOK_S: Final = 0.1


class Letter(msgspec.Struct, frozen=True):
    """A dead letter: where it stands, where what it buries stands in the log, and the event id of that."""

    place: int
    stream_seq: int
    event_id: str
    letter: DeadLetter


async def erase_payloads(bus: Bus, seqs: Collection[int], hashes: Container[bytes]) -> None:
    """Empty these places of the log, and whatever was copied from them or buries one of these ids. Raises `Unavailable`."""
    await erase_all(bus, bus.stream(subjects.MESH), seqs)
    places = frozenset(seqs)
    await _copied(bus)
    await erase_all(bus, bus.stream(subjects.LESSONS), await _copies(bus, bus.stream(subjects.LESSONS), places))
    if await _copies(bus, f"KV_{bus.stream('affect')}", places):
        await streams.remake_affect(bus)
    dead = [found.place async for found in letters(bus, lambda x: x.stream_seq in places or id_hash(x.event_id) in hashes)]
    await erase_all(bus, bus.stream(subjects.DEAD), dead)


async def _copied(bus: Bus) -> None:
    """Wait until nothing is on its way into the stream of lessons, or it would arrive after we have looked."""
    async with asyncio.timeout(COPYING_S):
        while True:
            info = await bus.api(f"STREAM.INFO.{bus.stream(subjects.LESSONS)}", {})
            if "error" in info:
                raise Unavailable(f"{subjects.LESSONS}: {info['error'].get('description')}")
            if all(source.get("lag", 0) == 0 for source in info.get("sources", ())):
                return
            await asyncio.sleep(LOOK_S)


async def _copies(bus: Bus, stream: str, places: Container[int]) -> list[int]:
    """Where `stream` holds copies of these places of the log."""
    return [sequence(msg) async for msg in stored(bus, stream) if _origin(msg) in places]


def _origin(msg: Msg) -> int:
    """Where in the log a copy came from; 0: it is none."""
    source = (msg.headers or {}).get(entries.SOURCE)
    return int(source.split()[1]) if source else 0


async def letters(bus: Bus, wanted: Callable[[Letter], bool]) -> AsyncIterator[Letter]:
    """The dead letters that are wanted."""
    incarnation = await bus.log_incarnation()
    async for msg in stored(bus, bus.stream(subjects.DEAD)):
        try:
            body = entries.decode(DeadLetter, msg.data)
        except entries.BAD_BODY:
            continue
        headers = body.headers
        ident = headers.get(entries.EVENT_ID) or headers.get(entries.MSG_ID) or event_id(incarnation, body.stream_seq)
        found = Letter(sequence(msg), body.stream_seq, ident, body)
        if wanted(found):
            yield found


def is_asked_for(asked: ForgetRequest, found: Letter) -> bool:
    """Whether a dead letter buries something of the id, agent, session or tag asked for, as far as what it buries can be read."""
    if asked.id is not None:
        return found.event_id == asked.id
    if asked.agent_id is not None:
        row = subjects.find(found.letter.subject)
        return row is not None and row[1].get("agent") == asked.agent_id
    said = _said(found.letter)
    if isinstance(said, bytes):
        return msgspec.json.encode(asked.session_id or asked.tag) in said
    tags = said.get("tags")
    return said.get("session_id") == asked.session_id if asked.session_id else isinstance(tags, list) and asked.tag in tags


def _said(letter: DeadLetter) -> dict[str, Any] | bytes:
    """The body that is buried; its bytes where they are no JSON object."""
    try:
        data = base64.b64decode(letter.data)
    except binascii.Error:
        return letter.data.encode()
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except entries.BAD_BODY:
        return data
