"""The OpenAI-compatible endpoint, spoken to over real HTTP: every way in which it can fail has one clear end."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest
import pytest_asyncio

from bus.errors import Misconfigured
from bus.secret import Secret
from memory.embedding import Embedding, EmbeddingFailed, EndpointAway, EndpointWrong, opened
from memory.openai_embedding import backoff_s, retry_after_s, vectors_of
from tests.memory.endpoint import DIMENSIONS, MODEL, Server, serving, vector

KEY = "sk-not-to-be-seen-0123456789"
TEXTS = ["alpha bravo", "charlie", "delta echo foxtrot"]


def unit(text: str) -> Any:
    row = np.array(vector(text))
    return row / np.linalg.norm(row)


def agrees(found: Any, text: str) -> bool:
    """Whether it is that text's vector, of length 1, as exact as half precision is."""
    got = np.array(found.to_list())
    return bool(abs(np.linalg.norm(got) - 1) < 1e-3 and got @ unit(text) > 0.9999)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as started:
        yield started


@pytest_asyncio.fixture
async def embedding(server: Server) -> AsyncIterator[Embedding]:
    async with opened(server.settings(embedding_api_key=Secret(KEY), embedding_timeout_s=5.0)) as port:
        assert port is not None
        yield port


class TestAnswers:
    async def test_a_batch_is_one_request_and_gives_a_unit_vector_for_each_text(self, server: Server, embedding: Embedding) -> None:
        vectors = await embedding.queue(TEXTS)
        assert all(agrees(v, text) for v, text in zip(vectors, TEXTS, strict=True))
        assert server.requests == [{"model": MODEL, "input": TEXTS}]
        assert server.keys == [f"Bearer {KEY}"]

    async def test_a_question_is_asked_once_by_all_who_want_it(self, server: Server, embedding: Embedding) -> None:
        vectors = await asyncio.gather(*(embedding.question("alpha") for _ in range(5)))
        assert all(agrees(v, "alpha") for v in vectors)
        assert len(server.requests) == 1

    async def test_vectors_stand_by_their_index_not_by_their_place(self, server: Server, embedding: Embedding) -> None:
        server.faults.append("shuffled")
        vectors = await embedding.queue(TEXTS)
        assert all(agrees(v, text) for v, text in zip(vectors, TEXTS, strict=True))

    async def test_blank_texts_are_sent_as_a_word_and_long_ones_cut(self, server: Server) -> None:
        async with opened(server.settings(embedding_text_len_max=5)) as port:
            assert port is not None
            await port.queue(["", " \n", "123456789"])
        assert server.requests[0]["input"] == ["(empty)", "(empty)", "12345"]

    async def test_without_a_key_there_is_no_header_and_dimensions_are_sent_where_asked(self, server: Server) -> None:
        async with opened(server.settings(embedding_dimensions_sent=True)) as port:
            assert port is not None
            await port.queue(["a"])
        assert server.keys == [None]
        assert server.requests[0]["dimensions"] == DIMENSIONS


class TestAway:
    @pytest.mark.parametrize("fault", [429, (429, {"retry-after": "0"}), 500, 503, 408, "cut"])
    async def test_the_queue_tries_again_and_loses_nothing(self, server: Server, embedding: Embedding, fault: Any) -> None:
        server.faults.extend([fault] * 4)
        vectors = await embedding.queue(TEXTS)
        assert all(agrees(v, text) for v, text in zip(vectors, TEXTS, strict=True))
        assert len(server.requests) == 5
        assert embedding.trouble == ""

    async def test_one_that_stays_away_is_said_to_be_away_after_so_many_tries(self, server: Server) -> None:
        server.faults.extend([500] * 100)
        async with opened(server.settings(embedding_tries_max=3)) as port:
            assert port is not None
            with pytest.raises(EndpointAway, match=rf"{server.url} \({MODEL}\): 500 .*planted"):
                await port.queue(TEXTS)
            assert "500" in port.trouble
        assert len(server.requests) == 3

    async def test_a_long_retry_after_is_left_to_the_queue(self, server: Server, embedding: Embedding) -> None:
        server.faults.append((429, {"retry-after": "120"}))
        with pytest.raises(EndpointAway) as away:
            await embedding.queue(TEXTS)
        assert (away.value.pause_s, len(server.requests)) == (120.0, 1)

    async def test_one_that_does_not_answer_in_time_is_away(self, server: Server) -> None:
        server.faults.extend(["slow"] * 2)
        async with opened(server.settings(embedding_timeout_s=0.05, embedding_tries_max=2)) as port:
            assert port is not None
            with pytest.raises(EndpointAway, match=r"no answer within 0\.05 s"):
                await port.queue(TEXTS)

    async def test_nobody_listens(self, server: Server) -> None:
        settings = server.settings(embedding_url="http://127.0.0.1:9/v1", embedding_tries_max=2)
        async with opened(settings) as port:
            assert port is not None
            with pytest.raises(EndpointAway, match=r"http://127\.0\.0\.1:9/v1"):
                await port.queue(TEXTS)

    async def test_a_question_is_tried_once_and_the_next_one_does_not_wait(self, server: Server) -> None:
        server.faults.append("slow")
        async with opened(server.settings(embedding_question_timeout_s=0.05)) as port:
            assert port is not None
            for text in ("alpha", "alpha", "bravo"):
                with pytest.raises(EndpointAway):
                    await port.question(text)
            assert len(server.requests) == 1
            await port.queue(TEXTS)
            assert agrees(await port.question("alpha"), "alpha")


class TestWrong:
    @pytest.mark.parametrize(
        ("fault", "said"),
        [
            ("wrong-dimensions", r"a vector has 33 dimensions, the settings name 32"),
            ("truncated", r"does not fit: Input data was truncated"),
            ("no-json", r"does not fit: JSON is malformed"),
            ("missing", r"2 vectors whose indexes are not those of 3 texts"),
            ("twice", r"3 vectors whose indexes are not those of 3 texts"),
            ("zero", r"no direction"),
            ("infinite", r"does not fit"),
            (401, r"401 .*planted"),
            (403, r"403 .*planted"),
            (404, r"404 .*planted"),
            ((301, {"location": "http://127.0.0.1:9/"}), r"301"),
        ],
    )
    async def test_it_is_said_at_once_and_not_tried_again(self, server: Server, embedding: Embedding, fault: Any, said: str) -> None:
        server.faults.append(fault)
        with pytest.raises(EndpointWrong, match=said):
            await embedding.queue(TEXTS)
        assert len(server.requests) == 1

    async def test_a_refusal_of_everything_is_one_of_the_settings(self, server: Server, embedding: Embedding) -> None:
        server.faults.extend([400] * 100)
        with pytest.raises(EndpointWrong, match="400"):
            await embedding.queue(TEXTS)

    async def test_a_refused_text_does_not_keep_the_others_from_their_vectors(self, server: Server, embedding: Embedding) -> None:
        server.refuses = "poison"
        texts = [*TEXTS, "poison in here", *TEXTS]
        vectors = await embedding.queue(texts)
        assert [v is None for v in vectors] == [False] * 3 + [True] + [False] * 3
        assert all(agrees(v, text) for v, text in zip(vectors, texts, strict=True) if v is not None)

    async def test_a_text_that_is_too_long_for_the_model_is_known_by_its_beginning(self, server: Server, embedding: Embedding) -> None:
        server.text_len_max = 1_000
        long = "alpha " * 1_000
        (found,) = await embedding.queue([long])
        assert agrees(found, long[:500])


class TestConcurrency:
    async def test_no_more_requests_than_the_settings_allow_and_a_question_has_room_beside_the_queue(self, server: Server) -> None:
        server.gate = asyncio.Event()
        async with opened(server.settings(embedding_requests_max=3)) as port:
            assert port is not None
            assert port.lanes == 2
            queues = [asyncio.create_task(port.queue([f"text {n}"])) for n in range(port.lanes)]
            question = asyncio.create_task(port.question("alpha"))
            while len(server.requests) < 3:
                await asyncio.sleep(0)
            more = [asyncio.create_task(port.queue([f"more {n}"])) for n in range(5)]
            server.gate.set()
            await asyncio.gather(*queues, question, *more)
        assert server.at_once_max == 3


class TestTheKey:
    async def test_it_is_in_no_error_no_log_and_no_repr(
        self, server: Server, embedding: Embedding, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        server.faults.append("echo")
        with pytest.raises(EmbeddingFailed, match=r"bad key Bearer \*\*\*") as wrong:
            await embedding.queue(TEXTS)
        settings = server.settings(embedding_api_key=Secret(KEY))
        said = [repr(settings), str(settings), f"{settings.embedding_api_key}", str(wrong.value), embedding.trouble, caplog.text]
        assert KEY not in " ".join(said)
        with pytest.raises(TypeError):
            msgspec.json.encode(settings)

    @pytest.mark.parametrize("key", ["two\nlines", "schlüssel"])
    async def test_one_that_cannot_stand_in_a_header_is_refused_at_the_start_without_being_shown(self, server: Server, key: str) -> None:
        with pytest.raises(Misconfigured, match="CEREBRO_MEMORY_EMBEDDING_API_KEY") as refused:
            async with opened(server.settings(embedding_api_key=Secret(key))):
                pass
        assert key not in str(refused.value)

    async def test_what_a_url_holds_beside_host_and_path_is_not_shown(self, server: Server) -> None:
        url = server.url.replace("//", "//user:password@")
        async with opened(server.settings(embedding_url=url)) as port:
            assert port is not None
            server.faults.append(404)
            with pytest.raises(EndpointWrong) as wrong:
                await port.queue(TEXTS)
        assert "password" not in str(wrong.value)


class TestRules:
    def test_pauses_double_up_to_the_most(self) -> None:
        assert [backoff_s(n, 3.0) for n in (1, 2, 3, 4, 100)] == [0.5, 1.0, 2.0, 3.0, 3.0]

    def test_retry_after_is_seconds_or_a_date(self) -> None:
        now = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
        asked = {"7": 7.0, "Sun, 22 Nov 2026 10:00:30 GMT": 30.0, "Sun, 22 Nov 2026 09:00:00 GMT": 0.0, "-1": 0.0, "soon": 0.0, None: 0.0}
        asked |= {"9" * 400: 3_600.0, "²": 0.0, "Sun, 22 Nov 2099 10:00:30 GMT": 3_600.0, "Sun, 99 Nov 2026 10:00:30 GMT": 0.0}
        assert {header: retry_after_s(header, now) for header in asked} == asked

    def test_numbers_beyond_all_bounds_are_refused_without_a_warning(self) -> None:
        with pytest.raises(ValueError, match="no direction"):
            vectors_of(b'{"data": [{"index": 0, "embedding": [1e300, 1e300]}]}', 1, 2)

    def test_whole_numbers_are_numbers_too(self) -> None:
        assert vectors_of(b'{"data": [{"index": 0, "embedding": [0, 2]}]}', 1, 2).tolist() == [[0.0, 1.0]]
