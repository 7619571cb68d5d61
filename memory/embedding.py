"""The port of embedding: what turns texts into vectors.

    question(text)   one vector, now: somebody waits for it
    queue(texts)     a vector each, when there is time

Behind it is a model in this process (`memory.minilm`) or an endpoint (`memory.openai_embedding`). What its vectors can
be compared with is its space: `memory.spaces`.

EmbeddingFailed      there is no vector now; searches go on by text, the queue waits (503)
├── EndpointAway     it does not answer, or is busy; it will pass
└── EndpointWrong    it refuses, or its answer is not what the settings name; somebody must look at the settings
"""

import asyncio
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

from pgvector import HalfVector

from bus.errors import Unavailable
from memory.settings import MemorySettings

NICE: Final = 10
"""Niceness of the thread that works off the queue: the mesh comes first on a small machine."""
QUESTIONS_KEPT_MAX: Final = 1_000
"""Most vectors of questions kept: three agents judge one proposal by the same question."""
BATCH_LEN_MAX: Final = 16
"""Most texts that a model in this process takes at a time, where nothing else is said."""


class EmbeddingFailed(Unavailable):
    """There is no vector now. `pause_s`: how long the queue leaves the endpoint alone."""

    def __init__(self, detail: str, pause_s: float = 0.0) -> None:
        super().__init__(detail)
        self.pause_s = pause_s


class EndpointAway(EmbeddingFailed):
    """The embedding endpoint does not answer, or is busy."""


class EndpointWrong(EmbeddingFailed):
    """The embedding endpoint refuses, or does not answer what the settings name."""


class Model(Protocol):
    """Texts in, unit vectors out, a row each, in their order. May block."""

    model: str
    dimensions: int

    def embed(self, texts: Sequence[str]) -> Any: ...


class Engine(ABC):
    """What does the work behind the port. Both ways give unit vectors; both may raise `EmbeddingFailed`."""

    model: str
    dimensions: int
    batch_len_max: int
    """Most texts of one `queue`."""
    lanes: int
    """How many `queue`s are worth doing at the same time."""

    @abstractmethod
    async def question(self, text: str) -> Any:
        """The vector of a text that somebody waits for."""

    @abstractmethod
    async def queue(self, texts: Sequence[str]) -> Sequence[Any]:
        """A vector for each text, in their order; None for a text that the model will never take."""

    def close(self) -> None:  # noqa: B027 - an engine may have nothing to close
        """Wait for nothing; what is under way is thrown away."""

    def trouble(self) -> str:
        """What is wrong with it just now; empty where nothing is."""
        return ""


class InProcess(Engine):
    """A model in threads of its own: one for questions, and a nicer one for the queue, so that no question waits behind it."""

    lanes = 1

    def __init__(self, model: Model, batch_len_max: int) -> None:
        self._model = model
        self.model = model.model
        self.dimensions = model.dimensions
        self.batch_len_max = batch_len_max
        self._questions = ThreadPoolExecutor(1, thread_name_prefix="embed-question")
        self._queue = ThreadPoolExecutor(1, thread_name_prefix="embed-queue", initializer=be_nice)

    async def question(self, text: str) -> Any:
        return (await self._run(self._questions, [text]))[0]

    async def queue(self, texts: Sequence[str]) -> Sequence[Any]:
        return await self._run(self._queue, texts)

    def close(self) -> None:
        self._questions.shutdown(wait=False, cancel_futures=True)
        self._queue.shutdown(wait=False, cancel_futures=True)

    async def _run(self, executor: ThreadPoolExecutor, texts: Sequence[str]) -> Sequence[Any]:
        rows: Sequence[Any] = await asyncio.get_running_loop().run_in_executor(executor, self._model.embed, texts)
        return rows


class Embedding:
    """The port. A plain model is run in this process."""

    def __init__(self, model: Model | Engine, batch_len_max: int = BATCH_LEN_MAX) -> None:
        self._engine = model if isinstance(model, Engine) else InProcess(model, batch_len_max)
        self._asked: dict[str, asyncio.Future[HalfVector]] = {}

    @property
    def model(self) -> str:
        return self._engine.model

    @property
    def dimensions(self) -> int:
        return self._engine.dimensions

    @property
    def batch_len_max(self) -> int:
        """Most texts of one `queue`."""
        return self._engine.batch_len_max

    @property
    def lanes(self) -> int:
        """How many `queue`s are worth doing at the same time."""
        return self._engine.lanes

    @property
    def trouble(self) -> str:
        """What is wrong just now, for people; empty where nothing is."""
        return self._engine.trouble()

    async def question(self, text: str) -> HalfVector:
        """The vector of one question; whoever asks the same meanwhile or soon after shares it. Raises `EmbeddingFailed`."""
        return await asyncio.shield(self.begin(text))

    def begin(self, text: str) -> asyncio.Future[HalfVector]:
        """Make the vector of a `question` that is likely to be asked next; nobody has to wait for it."""
        asked = self._asked.pop(text, None)
        if asked is None or asked.cancelled() or (asked.done() and asked.exception()):
            asked = asyncio.ensure_future(self._question(text))
            asked.add_done_callback(_look_at)
        self._asked[text] = asked
        if len(self._asked) > QUESTIONS_KEPT_MAX:
            del self._asked[next(iter(self._asked))]
        return asked

    async def queue(self, texts: Sequence[str]) -> list[HalfVector | None]:
        """The vectors of a batch; None for a text that the model will never take. Raises `EmbeddingFailed`."""
        return [None if row is None else HalfVector(row) for row in await self._engine.queue(texts)]

    def close(self) -> None:
        """Wait for nothing; what is under way is thrown away."""
        self._engine.close()

    async def _question(self, text: str) -> HalfVector:
        return HalfVector(await self._engine.question(text))  # asyncpg would take a bare row for one more dimension of an array


def _look_at(asked: asyncio.Future[HalfVector]) -> None:
    """Take note of a failure, so that asyncio does not complain where nobody waits; the next who asks tries again."""
    if not asked.cancelled():
        asked.exception()


def be_nice() -> None:
    """Lower the priority of this thread, where threads have one (Linux)."""
    if hasattr(os, "setpriority") and os.uname().sysname == "Linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


@asynccontextmanager
async def opened(settings: MemorySettings) -> AsyncIterator[Embedding | None]:
    """The embedding that the settings name, while it is used; None for `none`. An endpoint is not asked whether it is there.

    Raises FileNotFoundError where the files of a model are missing.
    """
    match settings.embedding:
        case "none":
            yield None
        case "openai":
            from memory.openai_embedding import Endpoint, client  # noqa: PLC0415 - an HTTP client, only where it is used

            async with client(settings) as http:
                yield Embedding(Endpoint(http, settings))
        case "minilm":
            from memory.minilm import MiniLM  # noqa: PLC0415 - numpy and 90 MB of weights, only where they are used

            embedding = Embedding(await asyncio.to_thread(MiniLM), settings.embed_batch_len_max)
            try:
                yield embedding
            finally:
                embedding.close()


async def in_lanes(works: Iterable[Awaitable[None]]) -> None:
    """Bring all of them to their ends at the same time, then raise the first failure: what one has done, none undoes."""
    for end in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(end, BaseException):
            raise end
