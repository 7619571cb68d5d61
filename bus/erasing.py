"""Erasing: what a stored message says goes from the server's disk; its place in the order stays, and is empty.

JetStream overwrites a deleted message's bytes in its block, headers and body, before it answers (measured: docs/adr/0006). The
sequences of the others, and what is expected of them, do not change; readers and durable consumers go over the hole.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable

from bus.connection import Bus
from bus.direct import Standing, page
from bus.errors import Unavailable

ERASE_S = 30.0
"""Longest wait for one erasure: each is written to disk before it is answered."""
ERASURES_MAX = 16
"""Most erasures under way at a time."""
NOTHING_THERE = 10043
NOTHING_LEFT = ("no message found", "stream store EOF")
"""What the server says of a place before the first or after the last message, under a code that means any failure."""


async def erase(bus: Bus, stream: str, seq: int) -> bool:
    """Overwrite what stands at `seq` of `stream` (its name on the server); False where nothing does. Raises `Unavailable`."""
    answer = await bus.api(f"STREAM.MSG.DELETE.{stream}", {"seq": seq, "no_erase": False}, ERASE_S)
    error = answer.get("error")
    if error is None:
        return True
    if error.get("err_code") == NOTHING_THERE or error.get("description") in NOTHING_LEFT:
        return False
    raise Unavailable(f"entry {seq} of {stream} could not be erased: {error.get('description')}")


async def erase_all(bus: Bus, stream: str, seqs: Iterable[int]) -> int:
    """Erase these places, some at a time; return at how many something stood. Raises `Unavailable`; then some may be left."""
    turns = asyncio.Semaphore(ERASURES_MAX)

    async def one(seq: int) -> bool:
        async with turns:
            return await erase(bus, stream, seq)

    return sum(await asyncio.gather(*(one(seq) for seq in seqs)))


async def stored(bus: Bus, stream: str, after: int = 0) -> AsyncIterator[Standing]:
    """Everything that stands behind `after` in `stream` (its name on the server), a bucket's too. Raises `Unavailable`."""
    while found := await page(bus.nc, stream, after + 1):
        for standing in found:
            yield standing
        after = found[-1].seq
