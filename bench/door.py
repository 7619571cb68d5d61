"""A client that costs next to nothing: a connection kept open, one request after the other, nothing parsed but the status and length."""

import asyncio
import json
from typing import Final, Self
from urllib.parse import urlsplit

import msgspec

from schemas.memory import Action

ACTION: Final = Action(action_type="bench", action_details={"text": "x" * 200})


class Caller:
    """Posts the same body again and again over one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        self._reader = reader
        self._writer = writer
        self._request = request

    @classmethod
    async def to(cls, url: str, path: str, body: object) -> Self:
        place, data = urlsplit(url), json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: {place.netloc}\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        return cls(*await asyncio.open_connection(place.hostname, place.port), head.encode() + data)

    @classmethod
    async def acting(cls, url: str) -> Self:
        """One that posts an action."""
        return await cls.to(url, "/memory/action", msgspec.to_builtins(ACTION) | {"agent_id": "bench"})

    async def call(self) -> int:
        """One request; its status."""
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
        await self._reader.readexactly(length)
        return int(head[9:12])

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()
