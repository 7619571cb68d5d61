"""A NATS connection that sends what it is given, byte for byte: client libraries put bad headers right, or refuse them.

The one place where the fuzzer connects by itself; where the settings have an identity it signs the server's nonce.
"""

import asyncio
import base64
import itertools
import secrets
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import msgspec
import nkeys

from bus.settings import BusSettings

LINE_BYTES_MAX = 1024 * 1024
"""Longest line of the protocol that is read."""
CONNECT_S = 10.0


class Reply(msgspec.Struct, frozen=True):
    """What came back on the inbox."""

    headers: bytes
    data: bytes

    def header(self, name: bytes) -> str | None:
        """The value of a header, or None."""
        for line in self.headers.split(b"\r\n"):
            key, _, value = line.partition(b":")
            if key == name:
                return value.strip().decode("utf-8", "replace")
        return None

    @property
    def nobody(self) -> bool:
        """Whether it is the server's word that nobody listens there."""
        return self.headers.startswith(b"NATS/1.0 503")


class Gone(Exception):
    """The server closed the connection."""


class Wire:
    """`connect`, then `ask` and `send` by many at the same time, until `close`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._inbox = f"_INBOX.fuzz{secrets.token_hex(6)}".encode()
        self._waiting: dict[bytes, asyncio.Future[Reply]] = {}
        self._numbers = itertools.count()
        self._reading = asyncio.create_task(self._read(), name="read the wire")
        self.said: list[str] = []
        """What the server complained of."""

    @classmethod
    async def connect(cls, settings: BusSettings) -> Self:
        """Connect to the server of the settings, as their identity."""
        at = urlsplit(settings.nats_url)
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(at.hostname, at.port, limit=LINE_BYTES_MAX)
            info = msgspec.json.decode((await reader.readline()).removeprefix(b"INFO "))
            options = {
                "verbose": False,
                "pedantic": False,
                "headers": True,
                "no_responders": True,
                "lang": "fuzz",
                "version": "1",
                "protocol": 1,
            }
            writer.write(b"CONNECT " + msgspec.json.encode(options | _signed(settings.nats_nkey, info.get("nonce", ""))) + b"\r\nPING\r\n")
            while (line := await reader.readline()) != b"PONG\r\n":
                if not line or line.startswith(b"-ERR"):
                    raise Gone(line.decode())
        wire = cls(reader, writer)
        writer.write(b"SUB %s.* 1\r\n" % wire._inbox)
        return wire

    @property
    def closed(self) -> bool:
        return self._reading.done()

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.close()

    async def ask(self, subject: bytes, headers: bytes, data: bytes, timeout_s: float) -> Reply:
        """The first answer. Raises `TimeoutError`, or `Gone` when the server has closed the connection."""
        number = b"%d" % next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self.send(subject, headers, data, self._inbox + b"." + number)
            async with asyncio.timeout(timeout_s):
                return await answer
        finally:
            del self._waiting[number]

    async def send(self, subject: bytes, headers: bytes, data: bytes, reply: bytes = b"") -> None:
        """Publish. Raises `Gone`."""
        if self.closed:
            raise Gone("; ".join(self.said[-1:]))
        address = subject + (b" " + reply if reply else b"")
        if headers:
            self._writer.write(b"HPUB %s %d %d\r\n%s%s\r\n" % (address, len(headers), len(headers) + len(data), headers, data))
        else:
            self._writer.write(b"PUB %s %d\r\n%s\r\n" % (address, len(data), data))
        try:
            await self._writer.drain()
        except OSError as e:
            raise Gone(str(e)) from e

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                await self._handle(line)
        except (OSError, asyncio.IncompleteReadError) as e:
            self.said.append(str(e))
        finally:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(Gone("; ".join(self.said[-1:])))

    async def _handle(self, line: bytes) -> None:
        verb, *words = line.split()
        if verb in {b"MSG", b"HMSG"}:
            size, head = int(words[-1]), int(words[-2]) if verb == b"HMSG" else 0
            whole = await self._reader.readexactly(size + 2)
            answer = self._waiting.get(words[0].rpartition(b".")[2])
            if answer is not None and not answer.done():
                answer.set_result(Reply(whole[:head], whole[head:-2]))
        elif verb == b"PING":
            self._writer.write(b"PONG\r\n")
        elif verb == b"-ERR":
            self.said.append(line.decode("utf-8", "replace").strip())


def _signed(path: str, nonce: str) -> dict[str, str]:
    if not path or not nonce:
        return {}
    pair = nkeys.from_seed(Path(path).read_bytes().strip())
    return {"nkey": pair.public_key.decode(), "sig": base64.urlsafe_b64encode(pair.sign(nonce.encode())).rstrip(b"=").decode()}
