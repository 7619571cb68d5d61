"""Ending tasks for sure. Leaf: imports nothing of ours.

In Python 3.11 `asyncio.wait_for`, which nats-py uses for every request, loses a cancellation that comes in the moment its
answer does (cpython#86296, mended in 3.12): the task goes on as if nobody had cancelled it. What waits that way is `heeded`; a task
that may wait that way elsewhere is asked again, or asks itself.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

AGAIN_S = 0.1
"""Pause before a task that is still there is cancelled again."""


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel these tasks until each has ended. What they raised or returned is left to who holds them."""
    while pending := {t for t in tasks if not t.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=AGAIN_S)


def heed() -> None:
    """End here if this task was cancelled and the cancellation was lost. For loops in a TaskGroup, which cancels only once."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@contextmanager
def heeded() -> Iterator[None]:
    """A cancellation that comes within and is lost there ends the task behind it. One that was cancelled before goes on: it cleans up."""
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        yield
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError
