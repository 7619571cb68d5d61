"""What the log's entries said, erased wherever the server keeps it: the log, what it copies from it, and dead letters."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Any, Final

import msgspec

from bus import entries, streams, subjects
from bus.connection import Bus
from bus.erasing import erase_all, sequence, stored
from bus.errors import Unavailable
from bus.ids import event_id
from schemas.dead import DeadLetter
from schemas.entry import Entry
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

    @property
    def named(self) -> bool:
        """Whether it says under which id the event came."""
        return entries.EVENT_ID in self.letter.headers or entries.MSG_ID in self.letter.headers


Wanted = Callable[[str, int], bool]
"""Whether an event of this id, at this place of the log, is to be erased."""


async def erase_payloads(bus: Bus, seqs: Collection[int], wanted: Wanted) -> None:
    """Empty those of these places of the log where what is wanted stands, and whatever was copied from there or buries it.

    Raises `Unavailable`.
    """
    standing = await _standing(bus, seqs, wanted)
    await erase_all(bus, bus.stream(subjects.MESH), standing)
    await _copied(bus)
    await erase_all(bus, bus.stream(subjects.LESSONS), await _copies(bus, bus.stream(subjects.LESSONS), wanted))
    if subjects.AFFECT.name in standing.values() or await _copies(bus, f"KV_{bus.stream('affect')}", wanted):
        await streams.remake_affect(bus)
    dead = [found.place async for found in letters(bus) if _buries(found, seqs, wanted)]
    await erase_all(bus, bus.stream(subjects.DEAD), dead)


def _buries(found: Letter, seqs: Collection[int], wanted: Wanted) -> bool:
    """Whether a dead letter buries what is wanted: by its id, or by its place where the letter does not say under which id it came."""
    return wanted(found.event_id, found.stream_seq) or (not found.named and found.stream_seq in seqs)


async def _standing(bus: Bus, seqs: Collection[int], wanted: Wanted) -> dict[int, str]:
    """Where what is wanted stands, and which row of the table it is; empty for what is malformed.

    A database may be older than its log, and then its places are those of other events.
    """
    found = {}
    for seq in seqs:
        entry = await bus.entry_at(seq)
        if entry is not None and wanted(entry.event_id, seq):
            found[seq] = entry.name if isinstance(entry, Entry) else ""
    return found


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


async def _copies(bus: Bus, stream: str, wanted: Wanted) -> list[int]:
    """Where `stream` holds copies of what is wanted."""
    incarnation = await bus.log_incarnation()
    found = []
    async for msg in stored(bus, stream):
        headers = msg.headers or {}
        seq = entries.place_in_log(headers)
        if seq is not None and wanted(_event_id(headers, incarnation, seq), seq):
            found.append(sequence(msg))
    return found


async def letters(bus: Bus) -> AsyncIterator[Letter]:
    """Every dead letter."""
    incarnation = await bus.log_incarnation()
    async for msg in stored(bus, bus.stream(subjects.DEAD)):
        try:
            body = entries.decode(DeadLetter, msg.data)
        except entries.BAD_BODY:
            continue
        yield Letter(sequence(msg), body.stream_seq, _event_id(body.headers, incarnation, body.stream_seq), body)


def _event_id(headers: Mapping[str, str], incarnation: str, seq: int) -> str:
    return headers.get(entries.EVENT_ID) or headers.get(entries.MSG_ID) or event_id(incarnation, seq)


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
    except ValueError:  # what is not ASCII is no binascii.Error
        return letter.data.encode()
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except entries.BAD_BODY:
        return data
