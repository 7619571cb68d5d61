"""The log: follow it for ever, read what stands in it now, or work it off with a durable consumer.

`follow` and `entries` keep nothing on the server: their place in the log is theirs. `Durable` keeps its place on the
server, and each of its deliveries ends in one outcome (`bus.delivery`).
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence

import msgspec
from nats.aio.msg import Msg

from bus import entries as entries_
from bus import subjects
from bus.connection import Bus, Outgoing, Stored
from bus.errors import Conflict, Unavailable
from bus.pull import NS, Pull
from schemas.entry import Entry, Malformed

log = logging.getLogger("cerebro.bus")

FOLLOW_BATCH_MAX = 1_000
"""Most entries a follower has asked for at a time."""
FORGOTTEN_S = 60.0
"""How long the server keeps the consumer of a follower that has gone."""
FORGOTTEN_SOON_S = 5.0
"""The same for a follower that reads a little and is gone for good, of which there may be many."""
ACK_WAIT_S = 30.0
"""How long a durable consumer waits for an outcome before it delivers again."""
READ_TIMEOUT_S = 5.0
"""Longest time to read what stands in the log now."""

NO_MESSAGE = 10037


class Delivery(msgspec.Struct, frozen=True):
    """A message handed over by a durable consumer, the `delivered`-th time. `data` is its body as it came."""

    entry: Entry | Malformed
    delivered: int
    pending: int
    consumer: str
    msg: Msg


async def bounds(bus: Bus, stream: str = subjects.MESH) -> tuple[int, int]:
    """The places of the oldest entry that the log still holds and of the latest; where it holds none, the next and the latest."""
    info = await bus.api(f"STREAM.INFO.{bus.stream(stream)}", {})
    if "error" in info:
        raise Unavailable(f"the log is not there: {info['error'].get('description')}")
    state = info["state"]
    first, last = int(state["first_seq"]), int(state["last_seq"])
    return max(first, 1), last


class Follower:
    """The log from `after_seq` on, as lists of entries, for ever. `pending`: how many more there were at the last look;
    None before the first. An empty list says that there is nothing more for now (once, at the start).
    """

    def __init__(self, bus: Bus, filters: Sequence[str], after_seq: int, stream: str, forgotten_s: float, piece_max: int) -> None:
        self._bus = bus
        self._filters = list(filters)
        self._stream = stream
        self._forgotten_s = forgotten_s
        self._piece_max = piece_max
        self._incarnation = ""
        self._delivered = 0
        self.seq = after_seq
        self.pending: int | None = None

    async def __aiter__(self) -> AsyncIterator[list[Entry | Malformed]]:
        pull = Pull(self._bus, self._stream, self._make, FOLLOW_BATCH_MAX)
        while True:
            async with contextlib.aclosing(pull.batches()) as batches:
                async for batch in batches:
                    if batch is None:
                        if self.pending == 0:
                            yield []
                        continue
                    whole = self._unbroken(batch)
                    for at in range(0, len(whole), self._piece_max):
                        yield self._accept(whole[at : at + self._piece_max])
                    if len(whole) < len(batch):
                        log.info("entries after %d were lost on the way, and are read again", self.seq)
                        break

    async def _make(self) -> str:
        self._incarnation = await self._bus.log_incarnation()
        config = {
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self.seq + 1,
            "ack_policy": "none",
            "filter_subjects": [self._bus.wire(f) for f in self._filters],
            "inactive_threshold": int(self._forgotten_s * NS),
            "mem_storage": True,
            "num_replicas": 1,
        }
        stream = self._bus.stream(self._stream)
        answer = await self._bus.api(f"CONSUMER.CREATE.{stream}", {"stream_name": stream, "config": config})
        if "error" in answer:
            raise Unavailable(str(answer["error"].get("description")))
        self.pending = int(answer.get("num_pending", 0))
        self._delivered = 0
        return str(answer["name"])

    def _unbroken(self, batch: list[Msg]) -> list[Msg]:
        """The messages up to the first hole in the server's numbering, behind which some were lost with a connection."""
        for i, msg in enumerate(batch):
            if msg.metadata.sequence.consumer != self._delivered + 1:
                return batch[:i]
            self._delivered += 1
        return batch

    def _accept(self, batch: list[Msg]) -> list[Entry | Malformed]:
        meta = batch[-1].metadata
        self.seq, self.pending = meta.sequence.stream, meta.num_pending
        return [read(self._bus, msg, self._incarnation) for msg in batch]


def follow(
    bus: Bus,
    filters: Sequence[str],
    after_seq: int = 0,
    stream: str = subjects.MESH,
    forgotten_s: float = FORGOTTEN_S,
    piece_max: int = FOLLOW_BATCH_MAX,
) -> Follower:
    """Follow the log; see `Follower`. No filter is the whole stream, which the server finds faster. `forgotten_s`: how long the server
    keeps its place after it has gone; `piece_max`: most entries that are handed over at a time.
    """
    return Follower(bus, filters, after_seq, stream, forgotten_s, piece_max)


async def entries(
    bus: Bus, filters: Sequence[str], after_seq: int = 0, stream: str = subjects.MESH, timeout_s: float = READ_TIMEOUT_S
) -> list[Entry | Malformed]:
    """What stands in the log now under these filters, oldest first. Raises `Unavailable` when it cannot be read in time."""
    found: list[Entry | Malformed] = []
    follower = follow(bus, filters, after_seq, stream, FORGOTTEN_SOON_S)
    try:
        async with asyncio.timeout(timeout_s):
            async for batch in follower:
                found.extend(batch)
                if follower.pending == 0:
                    break
    except TimeoutError as e:
        raise Unavailable(f"the log was not read within {timeout_s:g} s") from e
    return found


async def put_next(bus: Bus, out: Outgoing) -> Stored:
    """Compare-and-set by what can be read: malformed entries, which no fold sees, do not stand in the way of what is expected to be the
    last, nor does it matter that the log has aged that one out. Raises as `Bus.put`, `Conflict` where an entry has come between.
    """
    try:
        return await bus.put(out)
    except Conflict:
        expected = out.expect_last_seq or 0
        since = await entries(bus, [out.expect_subject or out.row.subject(**out.tokens)], after_seq=expected)
        last = since[-1].seq if since else 0
        if last == expected or any(isinstance(entry, Entry) for entry in since):
            raise
        return await bus.put(msgspec.structs.replace(out, expect_last_seq=last))


async def last_seq(bus: Bus, subject: str, stream: str = subjects.MESH) -> int:
    """The place of the last entry on `subject`, which may have wildcards; 0 where there is none. Raises `Unavailable`."""
    answer = await bus.api(f"STREAM.MSG.GET.{bus.stream(stream)}", {"last_by_subj": bus.wire(subject)})
    if "error" not in answer:
        return int(answer["message"]["seq"])
    if answer["error"].get("err_code") == NO_MESSAGE:
        return 0
    raise Unavailable(f"the log cannot be read: {answer['error'].get('description')}")


def read(bus: Bus, msg: Msg, incarnation: str) -> Entry | Malformed:
    """The entry in a JetStream message."""
    meta = msg.metadata
    copied = meta.stream == bus.stream(subjects.LESSONS)
    return entries_.read(bus.plain(msg.subject), msg.headers, msg.data, meta.sequence.stream, meta.timestamp, incarnation, copied=copied)


class Durable:
    """Deliveries of a durable consumer, each to be settled. `in_flight_max`: most that wait for their outcome; `unused_s`: how long the
    server keeps it while nobody reads, None: for good.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        name: str,
        filters: Sequence[str],
        batch_max: int = 500,
        in_flight_max: int = 2_000,
        ack_wait_s: float = ACK_WAIT_S,
        stream: str = subjects.MESH,
        unused_s: float | None = None,
    ) -> None:
        self._bus = bus
        self.name = name
        self._stream = stream
        self._batch_max = batch_max
        self._config = {
            "durable_name": name,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": int(ack_wait_s * NS),
            "max_ack_pending": in_flight_max,
            "filter_subjects": [bus.wire(f) for f in filters],
            **({"inactive_threshold": int(unused_s * NS)} if unused_s else {}),
        }
        self._incarnation = ""

    async def __aiter__(self) -> AsyncIterator[list[Delivery]]:
        pull = Pull(self._bus, self._stream, self.declare, self._batch_max)
        async for batch in pull.batches():
            if batch:
                yield [self._delivery(msg) for msg in batch]

    async def declare(self) -> str:
        """Make the consumer, or bring it in step; its place in the log stays."""
        self._incarnation = await self._bus.log_incarnation()
        stream = self._bus.stream(self._stream)
        answer = await self._bus.api(f"CONSUMER.DURABLE.CREATE.{stream}.{self.name}", {"stream_name": stream, "config": self._config})
        if "error" in answer:
            raise Unavailable(f"consumer {self.name}: {answer['error'].get('description')}")
        return self.name

    async def remove(self) -> None:
        """Let the server forget the consumer and its place in the log. Raises `Unavailable`."""
        await self._bus.api(f"CONSUMER.DELETE.{self._bus.stream(self._stream)}.{self.name}", {})

    def _delivery(self, msg: Msg) -> Delivery:
        meta = msg.metadata
        return Delivery(read(self._bus, msg, self._incarnation), meta.num_delivered, meta.num_pending, self.name, msg)
