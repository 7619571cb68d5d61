"""What the log's entries said, erased wherever the server keeps it: the log, what it copies from it, and dead letters."""

import asyncio
from collections.abc import Collection
from typing import Final

from bus import entries, streams, subjects
from bus.connection import Bus
from bus.erasing import erase_all, stored
from bus.errors import Unavailable
from bus.ids import event_id
from memory.forgetting.letters import Letters, Wanted, id_of
from schemas.entry import Entry

COPYING_S: Final = 10.0
"""Longest wait for the server to have copied into `LESSONS` what is on the log."""
LOOK_S: Final = 0.1


async def erase_payloads(bus: Bus, letters: Letters, seqs: Collection[int], wanted: Wanted) -> None:
    """Empty those of these places of the log where what is wanted stands, and whatever was copied from there or buries it; and what is
    buried, whoever told of its place. Raises `Unavailable`.
    """
    standing = await _standing(bus, seqs, wanted)
    await erase_all(bus, bus.stream(subjects.MESH), standing)
    await _copied(bus)
    await erase_all(bus, bus.stream(subjects.LESSONS), await _copies(bus, bus.stream(subjects.LESSONS), wanted))
    if subjects.AFFECT.name in standing.values() or await _copies(bus, f"KV_{bus.stream('affect')}", wanted):
        await streams.remake_affect(bus)
    while buried := await letters.burying(seqs, wanted):
        await erase_all(bus, bus.stream(subjects.MESH), await _standing(bus, {b.stream_seq for b in buried if b.stream_seq > 0}, wanted))
        await letters.erase(buried)


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
        headers = msg.headers
        seq = entries.place_in_log(headers)
        if seq is not None and wanted(id_of(headers) or event_id(incarnation, seq), seq):
            found.append(msg.seq)
    return found
