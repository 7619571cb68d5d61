"""One HTTP exchange over ASGI: read the body within its bounds, answer once, end in good order.

A refusal may come before the whole body has; then the connection is closed after a short, bounded reading on, so
that the answer reaches a client that is still sending (RFC 9112 §9.6), and no more is taken in than that.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing, suppress
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from bus.errors import TooLarge, refusal
from gateway.call import Answer

LINGER_S_MAX = 2.0
"""How long a refused body is still read, and thrown away."""
LINGER_BYTES_MAX = 16 * 1024 * 1024
"""How much of a refused body is still read, and thrown away."""
END_S_MAX = 1.0
"""How long the end of a stream that may not go on waits for its reader."""


SAFE = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}
"""Headers of every answer, unless its own say otherwise (OWASP REST Security)."""


class ClientGoneError(Exception):
    """The client hung up before its request was whole."""


class Exchange:
    """The request of `scope`, and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._body_pending = self.header("transfer-encoding") is not None or self.header("content-length") not in {None, "0"}

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @property
    def address(self) -> str:
        """The client's address, empty where the server does not know it."""
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    def header_values(self, name: str) -> list[str]:
        wanted = name.encode("ascii")
        return [value.decode("latin-1") for key, value in self._headers if key == wanted]

    def header(self, name: str) -> str | None:
        values = self.header_values(name)
        return values[0] if values else None

    async def body(self, bytes_max: int, s_max: float) -> bytes:
        """The whole body. Raises `TooLarge` (413) as soon as that is certain, `Refused` (408) when it comes too slowly."""
        length = self.header("content-length")
        if length is not None and length.isdigit() and int(length) > bytes_max:
            raise TooLarge(f"the body has {length} bytes, at most {bytes_max} are taken")
        try:
            async with asyncio.timeout(s_max):
                return await self._read(bytes_max)
        except TimeoutError:
            raise refusal(408, f"the body did not come within {s_max:g} s") from None

    async def _read(self, bytes_max: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while self._body_pending:
            part = (await self._next()).get("body", b"")
            size += len(part)
            if size > bytes_max:
                raise TooLarge(f"the body has more than {bytes_max} bytes")
            parts.append(part)
        return b"".join(parts)

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._body_pending = False
            raise ClientGoneError
        self._body_pending = message.get("more_body", False)
        return message

    async def answer(self, answer: Answer) -> None:
        """Send the whole answer; close the connection where the request's body was not read to its end."""
        unread = self._body_pending
        headers = {"content-type": answer.media, "content-length": str(len(answer.content)), **answer.headers}
        if answer.status in {204, 304}:
            del headers["content-type"], headers["content-length"]
        if unread:
            headers["connection"] = "close"
        await self._start(answer.status, headers)
        await self._send({"type": "http.response.body", "body": answer.content, "more_body": unread})
        if unread:
            await self._linger()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _start(self, status: int, headers: dict[str, str]) -> None:
        own = {k.encode("latin-1"): v.encode("latin-1") for k, v in headers.items()}
        await self._send({"type": "http.response.start", "status": status, "headers": [*{**SAFE, **own}.items()]})

    async def _linger(self) -> None:
        left = LINGER_BYTES_MAX
        try:
            async with asyncio.timeout(LINGER_S_MAX):
                while self._body_pending and left > 0:
                    left -= len((await self._next()).get("body", b""))
        except (TimeoutError, ClientGoneError):
            return

    async def stream(self, answer: Answer, stall_s: float, shut_out: Coroutine[Any, Any, None]) -> None:
        """Send a stream of parts until it ends, the client goes, it takes nothing for `stall_s`, or `shut_out` returns."""
        assert answer.parts is not None
        await self._start(answer.status, {"content-type": answer.media, **answer.headers})
        if self.method == "HEAD":
            shut_out.close()
            await answer.parts.aclose()
            await self._end()
            return
        sending = asyncio.create_task(self._send_parts(answer.parts, stall_s), name="event stream: send")
        hearing = asyncio.create_task(self._gone(), name="event stream: hear the client go")
        ending = asyncio.create_task(shut_out, name="event stream: may it go on")
        try:
            done, _ = await asyncio.wait([sending, hearing, ending], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, hearing, ending):
                task.cancel()
            await asyncio.gather(sending, hearing, ending, return_exceptions=True)
        for task in (sending, ending):
            if not task.cancelled() and (error := task.exception()):
                raise error
        if done == {ending}:
            with suppress(TimeoutError):  # who takes nothing is cut off
                async with asyncio.timeout(END_S_MAX):
                    await self._end()

    async def _end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_parts(self, parts: AsyncGenerator[bytes, None], stall_s: float) -> None:
        async with aclosing(parts):
            async for part in parts:
                async with asyncio.timeout(stall_s):
                    await self._send({"type": "http.response.body", "body": part, "more_body": True})
        await self._end()

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
