"""An event loop in virtual time: nothing waits, time jumps to the next timer, and the order of all steps is fixed.

Tasks, timeouts, events and sleeps of `asyncio` run on it as they are. Each task belongs to the node in whose context it was
started, so that a crash ends all that this node did.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from typing import Any

READY_MAX = 1_000_000
"""Most steps without any passing of time: more of them is a loop that does not end."""

Owned = dict[asyncio.Task[Any], None]
OWNER: ContextVar[Owned | None] = ContextVar("owner", default=None)
"""Where tasks started now are kept: a table of the node that starts them."""


async def passes(seconds: float) -> None:
    """So much virtual time."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    timer = loop.call_later(seconds, over.set_result, None)
    try:
        await over
    finally:
        timer.cancel()


class VirtualLoop(asyncio.AbstractEventLoop):
    """`run` it up to a moment. What a task raised and nobody asked for is in `faults`."""

    def __init__(self) -> None:
        self._now = 0.0
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = 0
        self.faults: list[dict[str, Any]] = []

    def run(self, until: float, after_each: Callable[[], bool]) -> None:
        """Take every step up to the moment `until`; `after_each` moment is asked whether to stop there."""
        asyncio._set_running_loop(self)
        try:
            self._drain()
            while self._timers and self._timers[0][0] <= until:
                self._now, _, timer = heapq.heappop(self._timers)
                if timer.cancelled():
                    continue
                timer._run()
                self._drain()
                if after_each():
                    return
            self._now = max(self._now, until)
        finally:
            asyncio._set_running_loop(None)

    def _drain(self) -> None:
        left = READY_MAX
        while self._ready:
            handle = self._ready.popleft()
            if not handle.cancelled():
                handle._run()
            left -= 1
            assert left, "time stands still"

    # what asyncio asks of a loop

    def time(self) -> float:
        return self._now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._count += 1
        heapq.heappush(self._timers, (max(when, self._now), self._count, timer))
        return timer

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer is passed over when its time comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        owned = OWNER.get()
        if owned is not None:
            owned[task] = None
            task.add_done_callback(lambda done: owned.pop(done, None))
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.faults.append(context)
