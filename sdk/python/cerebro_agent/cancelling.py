"""Cancellations that are not lost.

In Python 3.11 `asyncio.wait_for`, by which nats-py waits for every answer, loses a cancellation that comes in the moment the answer does
(cpython#86296, mended in 3.12): the task goes on as if nobody had cancelled it.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


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
