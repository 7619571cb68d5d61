"""A real HTTP server that speaks `POST /v1/embeddings`, and fails as it is told to."""

import asyncio
import hashlib
import json
import math
import random
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from memory.settings import MemorySettings

MODEL = "bag-of-words"
DIMENSIONS = 32


def vector(text: str, dimensions: int = DIMENSIONS, model: str = MODEL) -> list[float]:
    """A direction for each word, added up: texts that share words are near. Another model's directions are others."""
    total = [0.01] * dimensions
    for word in text.lower().split():
        rng = random.Random(hashlib.sha256(f"{model}/{word}".encode()).digest())
        total = [value + rng.gauss(0, 1) for value in total]
    return total


class Bag:
    """The same in this process, as a model behind the port."""

    def __init__(self, model: str = MODEL, dimensions: int = DIMENSIONS) -> None:
        self.model = model
        self.dimensions = dimensions

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [unit(vector(text, self.dimensions, self.model)) for text in texts]


def unit(row: list[float]) -> list[float]:
    length = math.hypot(*row)
    return [value / length for value in row]


class Server:
    """`faults` are what happens to the next requests, one each; `None` in it is a request that is answered well.

    A fault is a status, a pair of a status and its headers, or a word: slow, cut, truncated, shuffled, missing, twice,
    wrong-dimensions, infinite, zero, no-json, echo (401 with the request's key in its body). `away`: every connection is cut.
    `refuses`: texts that hold this are refused with 400; `text_len_max`: and those that are longer.
    """

    def __init__(self, dimensions: int, model: str) -> None:
        self.dimensions = dimensions
        self.model = model
        self.port = 0
        self.faults: deque[Any] = deque()
        self.away = False
        self.refuses = ""
        self.text_len_max = 1_000_000
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.at_once = 0
        self.at_once_max = 0
        self.gate: asyncio.Event | None = None
        """Where it is set, requests wait for it."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def texts(self) -> list[str]:
        """Every text it was asked for, in the order of the requests."""
        return [text for request in self.requests for text in request["input"]]

    def settings(self, settings: MemorySettings = MemorySettings(), **more: Any) -> MemorySettings:  # noqa: B008 - frozen
        """Settings that name this endpoint, and do not wait long between two tries."""
        own = {
            "embedding": "openai",
            "embedding_url": self.url,
            "embedding_model": self.model,
            "embedding_dimensions": self.dimensions,
            "embedding_backoff_s_max": 0.05,
        }
        kept = {name: getattr(settings, name) for name in settings.__struct_fields__}
        return MemorySettings(**(kept | own | more))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not self.away and await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        if self.away:
            return False
        assert head[0] == "POST /v1/embeddings HTTP/1.1"
        self.keys.append(next((line.split(": ", 1)[1] for line in head if line.lower().startswith("authorization: ")), None))
        self.requests.append(body)
        self.at_once += 1
        self.at_once_max = max(self.at_once, self.at_once_max)
        try:
            if self.gate is not None:
                await self.gate.wait()
            return await self._answer(body, self.faults.popleft() if self.faults else None, writer)
        finally:
            self.at_once -= 1

    async def _answer(self, body: dict[str, Any], fault: Any, writer: asyncio.StreamWriter) -> bool:
        texts: list[str] = body["input"]
        if any(not text or len(text) > self.text_len_max or (self.refuses and self.refuses in text) for text in texts):
            fault = 400
        match fault:
            case "slow":
                await asyncio.Event().wait()
            case "cut":
                return False
            case int(status):
                return await send(writer, status, {"error": {"message": "planted"}})
            case (int(status), dict(headers)):
                return await send(writer, status, {"error": {"message": "planted"}}, headers)
            case "echo":
                return await send(writer, 401, {"error": {"message": f"bad key {self.keys[-1]}"}})
            case "no-json":
                return await send(writer, 200, "<html>")
        content = json.dumps(self._vectors(texts, fault)).encode()
        if fault == "truncated":
            return await send(writer, 200, content[:-40].decode())
        return await send(writer, 200, content.decode())

    def _vectors(self, texts: Sequence[str], fault: Any) -> dict[str, Any]:
        dimensions = self.dimensions + (1 if fault == "wrong-dimensions" else 0)
        rows = [vector(text, dimensions, self.model) for text in texts]
        if fault == "zero":
            rows[-1] = [0.0] * dimensions
        if fault == "infinite":
            rows[-1][0] = 1e308 * 10
        data = [{"object": "embedding", "index": i, "embedding": row} for i, row in enumerate(rows)]
        if fault == "shuffled":
            data.reverse()
        if fault == "missing":
            data.pop()
        if fault == "twice":
            data[-1]["index"] = 0
        return {"object": "list", "data": data, "model": self.model, "usage": {"prompt_tokens": 1, "total_tokens": 1}}


async def send(writer: asyncio.StreamWriter, status: int, body: Any, headers: dict[str, str] | None = None) -> bool:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "content-type: application/json", f"content-length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
    await writer.drain()
    return True


@asynccontextmanager
async def serving(dimensions: int = DIMENSIONS, model: str = MODEL, port: int = 0) -> AsyncIterator[Server]:
    """The server, on a free port, while it is used."""
    server = Server(dimensions, model)
    connections: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await server.serve(reader, writer)
        except asyncio.CancelledError:
            writer.close()
        finally:
            connections.discard(task)

    listening = await asyncio.start_server(accept, "127.0.0.1", port)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
