"""Group commit: messages that are published at the same time share one atomic batch, and so one write to the server's disk.

    alone       published singly and at once: nothing waits for company
    together    what comes while a write is under way goes with the next one, up to the limits of the settings
    refused     the server takes a batch whole or not at all; then it is halved until the refused one stands alone, so that
                each caller hears of the fate of its own message
    same id     two callers with one id share one message: the second hears that it is a duplicate

What is acknowledged is on disk, as for a single publish: the promise is the server's (`sync_interval: always`).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from bus.cancelling import end
from bus.errors import TimedOut, Unavailable

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
        len_max: int,
        bytes_max: int,
    ) -> None:
        self._one = one
        self._many = many
        self._len_max = len_max
        self._bytes_max = bytes_max
        self._waiting: deque[Waiting] = deque()
        self._by_id: dict[str, Waiting] = {}
        self._writing: asyncio.Task[None] | None = None

    async def put(self, ident: str, wire: Wire) -> Acknowledged:
        """Publish one message under its id. Raises what became of it. A caller that is cancelled leaves open whether it was stored."""
        caller: asyncio.Future[Acknowledged] = asyncio.get_running_loop().create_future()
        if known := self._by_id.get(ident):
            known.callers.append(caller)
        else:
            self._by_id[ident] = waiting = Waiting(ident, wire, [caller])
            self._waiting.append(waiting)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all(), name="group commit")
        return await caller

    async def close(self) -> None:
        """Stop writing; who still waits is told by its own time-out."""
        if self._writing is not None:
            await end(self._writing)

    async def _write_all(self) -> None:
        while self._waiting:
            await self._write(self._next())

    def _next(self) -> list[Waiting]:
        """As many as one batch may hold, in the order in which they came; at least one."""
        some = [self._waiting.popleft()]
        size = len(some[0].wire[1])
        while self._waiting and len(some) < self._len_max and size + len(self._waiting[0].wire[1]) <= self._bytes_max:
            some.append(self._waiting.popleft())
            size += len(some[-1].wire[1])
        return some

    async def _write(self, some: Sequence[Waiting]) -> None:
        if len(some) == 1:
            await self._write_one(some[0])
            return
        try:
            first = await self._many([w.wire for w in some])
        except (Unavailable, TimedOut):  # it may have happened: singly, under the same ids, nothing is doubled
            await asyncio.gather(*(self._write_one(waiting) for waiting in some))
            return
        except Exception:  # noqa: BLE001 - halved until it is known whose it is, and told there
            middle = len(some) // 2
            await self._write(some[:middle])
            await self._write(some[middle:])
            return
        for i, waiting in enumerate(some):
            self._end(waiting, Acknowledged(first + i, duplicate=False))

    async def _write_one(self, waiting: Waiting) -> None:
        try:
            fate: Acknowledged | Exception = await self._one(waiting.wire)
        except Exception as e:  # noqa: BLE001 - raised where it was published from
            fate = e
        self._end(waiting, fate)

    def _end(self, waiting: Waiting, fate: Acknowledged | Exception) -> None:
        del self._by_id[waiting.ident]
        waiting.ended(fate)
