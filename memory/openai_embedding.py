"""An OpenAI-compatible embeddings endpoint: `POST {url}/embeddings` with `{"model", "input"}`, as OpenAI's API reference has it.

    200, and it fits            the vectors, in the order of the texts, each of length 1
    200, and it does not fit    EndpointWrong: count, indexes, dimensions, a number that is none, no JSON
    408, 409, 425, 429, 5xx,    tried again, after what Retry-After says or a pause that doubles; then EndpointAway
      no connection, no answer
    400, 413, 422               a text is at fault, or the settings: halved until it stands alone, then shortened, then a word is
                                asked that nobody refuses
    anything else               EndpointWrong

The key leaves this file in the header of a request only; it is taken out of whatever the endpoint says.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec
import numpy as np
from numpy.typing import NDArray

from bus.errors import Misconfigured
from memory.embedding import EmbeddingFailed, EndpointAway, EndpointWrong, Engine
from memory.settings import MemorySettings

log = logging.getLogger("cerebro.memory")

Floats = NDArray[np.float32]

BACKOFF_FIRST_S: Final = 0.5
QUESTION_PAUSE_S: Final = 2.0
"""How long the endpoint is left alone by questions after it failed one."""
RETRY_AFTER_S_MAX: Final = 3_600.0
"""However long a busy endpoint asks to be left alone, it is asked again after this."""
ANSWER_BYTES_MAX: Final = 256 * 1024 * 1024
"""Longest answer that is read: 2,048 vectors of 4,000 dimensions, at 30 bytes a number."""
SAID_LEN_MAX: Final = 300
"""How many characters of a refusal are repeated."""
SHORT_LEN: Final = 64
"""A text of so few characters that is refused is not refused for its length."""
PROBE: Final = "word"
"""A text that any model takes: whoever refuses it refuses everything."""
BLANK: Final = "(empty)"
"""Stands for a text without a character, which endpoints refuse."""
BUSY: Final = frozenset({408, 409, 425, 429})
TEXT_REFUSED: Final = frozenset({400, 413, 422})


class TextRefused(Exception):
    """The endpoint refuses these texts; the message is what it says."""


class Embedded(msgspec.Struct):
    """One item of the answer's `data`."""

    index: int
    embedding: list[float]


class Answer(msgspec.Struct):
    """The part of the answer that counts."""

    data: list[Embedded]


def client(settings: MemorySettings) -> httpx.AsyncClient:
    """The connections to the endpoint. Proxies of the environment are used, but not for this machine. Raises `Misconfigured`."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each request is no news
    key = settings.embedding_api_key.reveal()
    if not (key.isascii() and key.isprintable()):
        raise Misconfigured("CEREBRO_MEMORY_EMBEDDING_API_KEY holds what cannot stand in a header: a line break, or a letter beyond ASCII")
    host = urlsplit(settings.embedding_url).hostname
    return httpx.AsyncClient(
        headers={"authorization": f"Bearer {key}"} if key else {},
        timeout=settings.embedding_timeout_s,  # of one step; each request has a time for all of its steps too
        limits=httpx.Limits(max_connections=settings.embedding_requests_max),
        trust_env=host not in {"localhost", "127.0.0.1", "::1"},
    )


class Endpoint(Engine):
    """The engine over `http`, whose headers say who asks."""

    def __init__(self, http: httpx.AsyncClient, settings: MemorySettings) -> None:
        self._http = http
        self._settings = settings
        self.model = settings.embedding_model
        self.dimensions = settings.embedding_dimensions
        self.batch_len_max = settings.embedding_request_len_max
        self.lanes = max(1, settings.embedding_requests_max - 1)
        self._free = asyncio.Semaphore(settings.embedding_requests_max)
        self._failed: EmbeddingFailed | None = None
        self._failed_at = 0.0

    async def question(self, text: str) -> Floats:
        """One try, and none at all for a moment after a failure: who searches does not wait for an endpoint that is away."""
        if self._failed is not None and time.monotonic() - self._failed_at < QUESTION_PAUSE_S:
            raise type(self._failed)(str(self._failed))
        known = str(self._failed or "")
        try:
            row: Floats = (await self._ask([text], self._settings.embedding_question_timeout_s))[0]
            return row
        except TextRefused as e:
            raise self._fail(self._wrong(str(e))) from e
        finally:
            if self._failed is not None and str(self._failed) != known:
                log.warning("a question has no vector, its search goes by words: %s", self._failed)

    async def queue(self, texts: Sequence[str]) -> list[Floats | None]:
        """As many tries as the settings say; what is refused is halved, so that one text does not keep the others waiting."""
        try:
            return list(await self._patiently(texts))
        except TextRefused:
            if len(texts) == 1:
                return [await self._shortened(texts[0])]
        middle = len(texts) // 2
        return await self.queue(texts[:middle]) + await self.queue(texts[middle:])

    def trouble(self) -> str:
        return str(self._failed or "")

    async def _shortened(self, text: str) -> Floats | None:
        """The vector of as much of a refused text as is taken; None where even a little is refused, and any other text is not."""
        while len(text) > SHORT_LEN:
            text = text[: max(SHORT_LEN, min(len(text), self._settings.embedding_text_len_max) // 2)]
            try:
                row: Floats = (await self._patiently([text]))[0]
                return row
            except TextRefused:
                continue
        try:
            await self._patiently([PROBE])
        except TextRefused as e:
            raise self._fail(self._wrong(str(e))) from e
        return None

    async def _patiently(self, texts: Sequence[str]) -> Floats:
        """Ask, and ask again while it is away or busy, as often as the settings say."""
        s = self._settings
        tries = 1
        while True:
            try:
                return await self._ask(texts, s.embedding_timeout_s)
            except EndpointAway as e:
                e.pause_s = max(e.pause_s, backoff_s(tries, s.embedding_backoff_s_max))
                if tries >= s.embedding_tries_max or e.pause_s > s.embedding_backoff_s_max:
                    raise
                pause_s = e.pause_s
            tries += 1
            await asyncio.sleep(pause_s)

    async def _ask(self, texts: Sequence[str], timeout_s: float) -> Floats:
        try:
            async with asyncio.timeout(timeout_s), self._free:
                vectors = await self._post(texts)
        except TimeoutError as e:
            raise self._fail(EndpointAway(self._told(f"no answer within {timeout_s:g} s"))) from e
        except (httpx.HTTPError, httpx.InvalidURL) as e:
            raise self._fail(EndpointAway(self._told(str(e) or type(e).__name__))) from e
        except EmbeddingFailed as e:
            self._fail(e)
            raise
        self._failed = None
        return vectors

    async def _post(self, texts: Sequence[str]) -> Floats:
        body = self._body(texts)
        async with self._http.stream("POST", f"{self._settings.embedding_url.rstrip('/')}/embeddings", json=body) as answer:
            content = await limited(answer)
        if answer.status_code != 200:
            raise self._refusal(answer, content)
        try:
            return vectors_of(content, len(texts), self.dimensions)
        except ValueError as e:
            raise self._wrong(self._told(f"its answer does not fit: {e}")) from e

    def _body(self, texts: Sequence[str]) -> dict[str, Any]:
        cut = [text[: self._settings.embedding_text_len_max] for text in texts]
        body: dict[str, Any] = {"model": self.model, "input": [text if text.strip() else BLANK for text in cut]}
        return body | ({"dimensions": self.dimensions} if self._settings.embedding_dimensions_sent else {})

    def _refusal(self, answer: httpx.Response, content: bytes) -> Exception:
        said = self._told(f"{answer.status_code} {content.decode(errors='replace')}")
        if answer.status_code in BUSY or answer.status_code >= 500:
            return EndpointAway(said, retry_after_s(answer.headers.get("retry-after"), datetime.now(UTC)))
        return TextRefused(said) if answer.status_code in TEXT_REFUSED else self._wrong(said)

    def _told(self, said: str) -> str:
        """A sentence for people, without the key and without what a URL may hold beside the host and the path."""
        if key := self._settings.embedding_api_key.reveal():
            said = said.replace(key, "***")
        parts = urlsplit(self._settings.embedding_url)
        where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        return f"the embedding endpoint {where} ({self.model}): {' '.join(said.split())[:SAID_LEN_MAX]}"

    def _wrong(self, said: str) -> EndpointWrong:
        """What only other settings, or another server, will mend: it is not hurried."""
        return EndpointWrong(said, self._settings.embedding_backoff_s_max)

    def _fail(self, failure: EmbeddingFailed) -> EmbeddingFailed:
        self._failed, self._failed_at = failure, time.monotonic()
        return failure


async def limited(answer: httpx.Response) -> bytes:
    """The body, as far as it may go; a longer one is cut, and so fits no more."""
    content = bytearray()
    async for part in answer.aiter_bytes():
        content += part
        if len(content) > ANSWER_BYTES_MAX:
            break
    return bytes(content)


def vectors_of(content: bytes, count: int, dimensions: int) -> Floats:
    """The vectors in an answer's body, one a text in their order, each of length 1. Raises ValueError, saying what does not fit."""
    try:
        data = msgspec.json.decode(content, type=Answer).data
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise ValueError(str(e)) from e
    if sorted(item.index for item in data) != list(range(count)):
        raise ValueError(f"{len(data)} vectors whose indexes are not those of {count} texts")
    for item in data:
        if len(item.embedding) != dimensions:
            raise ValueError(f"a vector has {len(item.embedding)} dimensions, the settings name {dimensions}")
    ordered = sorted(data, key=lambda item: item.index)
    rows = np.array([item.embedding for item in ordered], dtype=np.float64).reshape(count, dimensions)
    with np.errstate(over="ignore"):  # an infinite length is told below
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise ValueError("a vector has no direction: a number in it is not finite, or all are zero")
    unit: Floats = (rows / lengths).astype(np.float32)
    return unit


def backoff_s(tries: int, most_s: float) -> float:
    """The pause after so many tries: half a second, then twice as long each time, up to `most_s`."""
    return min(most_s, BACKOFF_FIRST_S * 2.0 ** min(tries - 1, 30))


def retry_after_s(header: str | None, now: datetime) -> float:
    """What a Retry-After header asks for (RFC 9110, 10.2.3: seconds, or a date), within an hour; 0 where it asks for nothing."""
    if not header:
        return 0.0
    try:
        if header.strip().isdecimal():
            return min(RETRY_AFTER_S_MAX, float(header))
        until = parsedate_to_datetime(header)
        asked_s = (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return min(RETRY_AFTER_S_MAX, max(0.0, asked_s))
