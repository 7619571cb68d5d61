"""Erasing: what a stored message says goes from the server's disk; its place in the order stays, and is empty.

JetStream overwrites a deleted message's bytes in its block, headers and body, before it answers (measured: docs/adr/0006). The
sequences of the others, and what is expected of them, do not change; readers and durable consumers go over the hole.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from bus.connection import Bus
from bus.errors import Unavailable

ERASE_S = 30.0
"""Longest wait for one erasure: each is written to disk before it is answered."""
ERASURES_MAX = 16
"""Most erasures under way at a time."""
PAGE_LEN = 500
"""Messages asked for in one step of a scan."""
PAGE_BYTES_MAX = 16 * 1024 * 1024
"""Most bytes of one step; a larger message comes alone."""
SILENCE_S = 10.0
"""Longest wait for the next message of a step."""
NOTHING_THERE = 10043
NOTHING_LEFT = ("no message found", "stream store EOF")
"""What the server says of a place before the first or after the last message, under a code that means any failure."""
SEQUENCE = "Nats-Sequence"
SUBJECT = "Nats-Subject"


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


async def stored(bus: Bus, stream: str) -> AsyncIterator[Msg]:
    """Everything that stands in `stream` (its name on the server) as it is stored; `Nats-Sequence` and `Nats-Subject` are among
    the headers. Reads buckets too, whatever their subjects. Raises `Unavailable`.
    """
    after = 0
    while True:
        page = await _page(bus, stream, after + 1)
        for msg in page:
            yield msg
        if not page:
            return
        after = sequence(page[-1])


def sequence(msg: Msg) -> int:
    """Where a message of `stored` stands."""
    return int((msg.headers or {})[SEQUENCE])


async def _page(bus: Bus, stream: str, first: int) -> list[Msg]:
    request = b'{"seq":%d,"batch":%d,"max_bytes":%d,"next_by_subj":">"}' % (first, PAGE_LEN, PAGE_BYTES_MAX)
    sub: Subscription | None = None
    try:
        sub = await bus.nc.subscribe(bus.nc.new_inbox(), pending_msgs_limit=2 * PAGE_LEN, pending_bytes_limit=8 * PAGE_BYTES_MAX)
        await bus.nc.publish(f"$JS.API.DIRECT.GET.{stream}", request, reply=sub.subject)
        return await _until_its_end(sub, stream)
    except (nats.errors.Error, OSError, TimeoutError) as e:
        raise Unavailable(f"{stream} cannot be read: {str(e) or type(e).__name__}") from e
    finally:
        if sub is not None and bus.connected:
            await sub.unsubscribe()


async def _until_its_end(sub: Subscription, stream: str) -> list[Msg]:
    """The messages of one step; the server says how many it has sent, so that a lost one is noticed."""
    page: list[Msg] = []
    while True:
        msg = await sub.next_msg(timeout=SILENCE_S)
        headers = msg.headers or {}
        match None if SEQUENCE in headers else headers.get("Status"):  # a publisher may have called a header of its own so
            case None:
                page.append(msg)
            case "204":
                if page and int(headers.get("Nats-Last-Sequence", sequence(page[-1]))) != sequence(page[-1]):
                    raise Unavailable(f"messages of {stream} were lost on the way from the server")
                return page
            case "404":
                return page
            case status:
                raise Unavailable(f"{stream} cannot be read: {status} {headers.get('Description', '')}")
