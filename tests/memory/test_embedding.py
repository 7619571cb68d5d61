"""The port of embedding over a model in this process: the loop turns meanwhile, and no question waits behind the queue."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio

from memory.embedding import QUESTIONS_KEPT_MAX, Embedding, EmbeddingFailed, in_lanes, opened
from memory.settings import MemorySettings
from tests.memory.endpoint import Bag

WAIT_S = 20.0


class Slow(Bag):
    """Works on a text that says `wait` until it is let go, and fails at one that says `fail`."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.begun = threading.Event()
        self.calls: list[list[str]] = []

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.calls.append(list(texts))
        if "wait" in texts:
            self.begun.set()
            assert self.go.wait(WAIT_S)
        if "fail" in texts:
            raise EmbeddingFailed("planted")
        return super().embed(texts)


@pytest.fixture
def model() -> Slow:
    return Slow()


@pytest_asyncio.fixture
async def embedding(model: Slow) -> AsyncIterator[Embedding]:
    port = Embedding(model, batch_len_max=3)
    yield port
    model.go.set()
    port.close()


class TestInProcess:
    async def test_a_question_is_answered_while_a_batch_of_the_queue_is_under_way(self, model: Slow, embedding: Embedding) -> None:
        batch = asyncio.create_task(embedding.queue(["wait", "alpha"]))
        while not model.begun.is_set():
            await asyncio.sleep(0)
        assert (await embedding.question("alpha")).to_list()
        assert not batch.done()
        model.go.set()
        assert len(await batch) == 2

    async def test_the_same_question_is_worked_out_once_and_a_failure_is_not_kept(self, model: Slow, embedding: Embedding) -> None:
        await asyncio.gather(*(embedding.question("alpha") for _ in range(3)))
        await embedding.question("alpha")
        assert model.calls == [["alpha"]]
        for _ in range(2):
            with pytest.raises(EmbeddingFailed):
                await embedding.question("fail")
        assert model.calls == [["alpha"], ["fail"], ["fail"]]

    async def test_a_question_is_begun_before_anybody_waits_for_it(self, model: Slow, embedding: Embedding) -> None:
        embedding.begin("wait")
        while not model.begun.is_set():
            await asyncio.sleep(0)
        model.go.set()
        assert (await embedding.question("wait")).to_list()
        assert model.calls == [["wait"]]

    async def test_a_failure_that_nobody_waits_for_is_nobodys_trouble(self, embedding: Embedding) -> None:
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
        await asyncio.wait({embedding.begin("fail")})
        await asyncio.wait({embedding.begin(str(number)) for number in range(QUESTIONS_KEPT_MAX)})  # the failed one is let go
        gc.collect()
        assert not complaints

    async def test_one_that_gives_up_does_not_take_the_answer_from_the_others(self, model: Slow, embedding: Embedding) -> None:
        first, second = (asyncio.create_task(embedding.question("wait")) for _ in range(2))
        while not model.begun.is_set():
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait({first})
        model.go.set()
        assert (await second).to_list()

    def test_it_says_what_it_is(self, embedding: Embedding) -> None:
        assert (embedding.batch_len_max, embedding.lanes, embedding.trouble) == (3, 1, "")


class TestOpened:
    async def test_none_is_none_and_minilm_is_loaded_from_its_package(self) -> None:
        async with opened(MemorySettings(embedding="none")) as nothing:
            assert nothing is None
        async with opened(MemorySettings()) as port:
            assert port is not None
            assert (port.model, port.dimensions, port.batch_len_max) == ("all-MiniLM-L6-v2", 384, 16)


class TestLanes:
    async def test_all_come_to_their_ends_before_the_first_failure_is_raised(self) -> None:
        ended: list[int] = []

        async def work(n: int) -> None:
            if n == 0:
                raise EmbeddingFailed("planted")
            await asyncio.sleep(0)
            ended.append(n)

        with pytest.raises(EmbeddingFailed):
            await in_lanes(work(n) for n in range(3))
        assert ended == [1, 2]
