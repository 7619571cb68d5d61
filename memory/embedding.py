"""The port of embedding: what turns texts into vectors, in a thread."""

import asyncio
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

from pgvector import HalfVector

NICE: Final = 10
"""Niceness of the thread that works off the queue: the mesh comes first on a small machine."""


QUESTIONS_KEPT_MAX: Final = 1_000
"""Most vectors of questions kept: three agents judge one proposal by the same question."""


class Model(Protocol):
    """Texts in, unit vectors out, a row each, in their order. May block."""

    model: str
    dimensions: int

    def embed(self, texts: Sequence[str]) -> Any: ...


class Embedding:
    """A model in threads of its own: one for questions, and a nicer one for the queue, so that no question waits behind it."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.model = model.model
        self.dimensions = model.dimensions
        self._asked: dict[str, asyncio.Future[list[HalfVector]]] = {}
        self._questions = ThreadPoolExecutor(1, thread_name_prefix="embed-question")
        self._queue = ThreadPoolExecutor(1, thread_name_prefix="embed-queue", initializer=be_nice)

    async def question(self, text: str) -> HalfVector:
        """The vector of one question; whoever asks the same meanwhile or soon after shares it."""
        asked = self._asked.pop(text, None)
        if asked is None or asked.cancelled() or (asked.done() and asked.exception()):
            asked = asyncio.ensure_future(self._run(self._questions, [text]))
        self._asked[text] = asked
        if len(self._asked) > QUESTIONS_KEPT_MAX:
            del self._asked[next(iter(self._asked))]
        return (await asyncio.shield(asked))[0]

    async def queue(self, texts: Sequence[str]) -> list[HalfVector]:
        """The vectors of a batch from the queue."""
        return await self._run(self._queue, texts)

    def close(self) -> None:
        """Wait for nothing; what is under way is thrown away."""
        self._questions.shutdown(wait=False, cancel_futures=True)
        self._queue.shutdown(wait=False, cancel_futures=True)

    async def _run(self, executor: ThreadPoolExecutor, texts: Sequence[str]) -> list[HalfVector]:
        rows = await asyncio.get_running_loop().run_in_executor(executor, self._model.embed, texts)
        return [HalfVector(row) for row in rows]  # asyncpg would take a bare row for one more dimension of an array


def be_nice() -> None:
    """Lower the priority of this thread, where threads have one (Linux)."""
    if hasattr(os, "setpriority") and os.uname().sysname == "Linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


async def load(name: str) -> Embedding | None:
    """The embedding that the settings name; None for `none`. Raises FileNotFoundError where its files are missing."""
    if name == "none":
        return None
    from memory.minilm import MiniLM  # noqa: PLC0415 - numpy and 90 MB of weights, only where they are used

    return Embedding(await asyncio.to_thread(MiniLM))
