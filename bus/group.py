"""Group commit: many messages that are published at the same time share one atomic batch, and so one write to the server's log.

    a few       are published singly and at once, each its own write: nothing waits for company
    many        what comes while a batch is under way goes with the next one, up to the limits of the settings
    refused     the server takes a batch whole or not at all; then it is halved until only a few are left, and these go singly, so that
                each caller hears of the fate of its own message
    same id     two callers with one id share one message: the second hears that it is a duplicate

Where a few end is a setting (`len_min`), because a batch is dear: before it becomes part of the log the server puts it into files of its
own, with three folders and five syncs, and then takes them away, which costs it as much as about a dozen single writes.

What is acknowledged is on disk, as for a single publish: the promise is the server's (`sync_interval: always`).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from bus.cancelling import end
from bus.errors import TimedOut, Unavailable

TURNS: Final = 5
"""After so many turns of the event loop in which nobody came, nobody is about to: a request takes a few from its socket to here."""

Wire = tuple[str, bytes, dict[str, str]]
"""A message as it travels: subject, body, headers."""


class Acknowledged(msgspec.Struct, frozen=True):
    """Where a message stands in the log; `duplicate`: it stood there before this publish."""

    seq: int
    duplicate: bool


class Waiting(msgspec.Struct):
    """A message on its way, and who waits for its fate: the first is whose it is, the others came with the same id."""

    ident: str
    wire: Wire
    callers: list[asyncio.Future[Acknowledged]]

    def ended(self, fate: Acknowledged | Exception) -> None:
        """Tell every caller that still listens."""
        for i, caller in enumerate(self.callers):
            if caller.done():
                continue
            if isinstance(fate, Exception):
                caller.set_exception(fate)
            else:
                caller.set_result(Acknowledged(fate.seq, fate.duplicate or i > 0))


class Group:
    """`one` publishes a message, `many` a batch (it returns where the first of it stands, and raises for the whole of it)."""

    def __init__(
        self,
        one: Callable[[Wire], Awaitable[Acknowledged]],
        many: Callable[[Sequence[Wire]], Awaitable[int]],
        *,
        len_min: int,
        len_max: int,
        bytes_max: int,
        gather_s_max: float,
    ) -> None:
        self._one = one
        self._many = many
        self._len_min = len_min
        self._len_max = len_max
        self._bytes_max = bytes_max
        self._gather_s_max = gather_s_max
        self._waiting: deque[Waiting] = deque()
        self._by_id: dict[str, Waiting] = {}
        self._singly: set[asyncio.Task[None]] = set()
        self._batches: asyncio.Task[None] | None = None

    async def put(self, ident: str, wire: Wire) -> Acknowledged:
        """Publish one message under its id. Raises what became of it. A caller that is cancelled leaves open whether it was stored."""
        caller: asyncio.Future[Acknowledged] = asyncio.get_running_loop().create_future()
        if known := self._by_id.get(ident):
            known.callers.append(caller)
        else:
            self._by_id[ident] = waiting = Waiting(ident, wire, [caller])
            self._begin(waiting)
        return await caller

    async def close(self) -> None:
        """Stop writing; who still waits is told by its own time-out."""
        await end(*self._singly, *([self._batches] if self._batches is not None else []))

    def _begin(self, waiting: Waiting) -> None:
        if self._batches is None and (len(self._singly) + 1 < self._len_min or self._len_max < self._len_min):
            self._alone(waiting)
            return
        self._waiting.append(waiting)
        if self._batches is None:
            self._batches = asyncio.create_task(self._write_all(), name="group commit")

    def _alone(self, waiting: Waiting) -> None:
        task = asyncio.create_task(self._write_one(waiting), name="single commit")
        self._singly.add(task)
        task.add_done_callback(self._singly.discard)

    async def _write_all(self) -> None:
        """Batch after batch, until there are only a few again."""
        try:
            while True:
                await self._gather()
                some = self._next()
                if len(some) >= self._len_min:
                    await self._write(some)
                    continue
                for waiting in some:
                    self._alone(waiting)
                if not self._waiting:
                    return
        finally:
            self._batches = None

    async def _gather(self) -> None:
        """Let come who is about to, as long as there are only a few: whoever was told of the batch before may publish the next message."""
        loop = asyncio.get_running_loop()
        until, seen, turns = loop.time() + self._gather_s_max, 0, 0
        while len(self._waiting) < self._len_min and turns < TURNS and loop.time() < until:
            await asyncio.sleep(0)
            seen, turns = len(self._waiting), turns + 1 if len(self._waiting) == seen else 0

    def _next(self) -> list[Waiting]:
        """As many as one batch may hold, in the order in which they came."""
        some: list[Waiting] = []
        size = 0
        while self._waiting and len(some) < self._len_max:
            size += len(self._waiting[0].wire[1])
            if some and size > self._bytes_max:
                break
            some.append(self._waiting.popleft())
        return some

    async def _write(self, some: Sequence[Waiting]) -> None:
        if len(some) < self._len_min:
            await self._write_each(some)
            return
        try:
            first = await self._many([w.wire for w in some])
        except (Unavailable, TimedOut):  # it may have happened: singly, under the same ids, nothing is doubled
            await self._write_each(some)
            return
        except Exception:  # noqa: BLE001 - halved until it is known whose it is, and told there
            middle = len(some) // 2
            await self._write(some[:middle])
            await self._write(some[middle:])
            return
        for i, waiting in enumerate(some):
            self._end(waiting, Acknowledged(first + i, duplicate=False))

    async def _write_each(self, some: Sequence[Waiting]) -> None:
        await asyncio.gather(*(self._write_one(waiting) for waiting in some))

    async def _write_one(self, waiting: Waiting) -> None:
        try:
            fate: Acknowledged | Exception = await self._one(waiting.wire)
        except Exception as e:  # noqa: BLE001 - raised where it was published from
            fate = e
        self._end(waiting, fate)

    def _end(self, waiting: Waiting, fate: Acknowledged | Exception) -> None:
        del self._by_id[waiting.ident]
        waiting.ended(fate)
