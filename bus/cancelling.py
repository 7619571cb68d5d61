"""Ending tasks for sure. Leaf: imports nothing of ours.

In Python 3.11 `asyncio.wait_for`, which nats-py uses for every request, loses a cancellation that comes in the moment its
answer does (cpython#86296, mended in 3.12): the task goes on as if nobody had cancelled it. So it is asked again.
"""

import asyncio
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
