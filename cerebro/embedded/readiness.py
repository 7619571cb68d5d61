"""Waiting until a server serves: ask again and again, until it answers, ends, or the time is up."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from cerebro.address import Address
from cerebro.embedded.child import Child, ServerFailed

ASK_EVERY_S: Final = 0.05
PAGE_BYTES_MAX: Final = 64 * 1024
START_S: Final = 60.0  # recovery after a crash replays the log first; a slow disk needs the most of it


async def wait_until_ready(name: str, child: Child, ask: Callable[[], Awaitable[None]], log: Path, start_s: float = START_S) -> None:
    """Return once `ask` returns; it raises OSError (or TimeoutError) for "not yet".

    Raises ServerFailed when the process ends or `start_s` seconds pass; the process is gone then.
    """
    try:
        async with asyncio.timeout(start_s):
            while child.running:
                try:
                    return await ask()
                except (OSError, TimeoutError):
                    await asyncio.sleep(ASK_EVERY_S)
    except TimeoutError:
        await child.kill()
        raise ServerFailed(name, f"did not answer within {start_s:g} s", log) from None
    except BaseException:
        await child.kill()
        raise
    raise ServerFailed(name, f"ended with status {await child.wait()}", log)


async def first_line(address: Address, question: bytes, ask_s: float = 2.0) -> bytes:
    """Connect, send `question`, return the first line that comes back. Raises OSError when there is none in time."""
    return await _answer(address, question, ask_s, asyncio.StreamReader.readline)


async def page(address: Address, path: str, ask_s: float = 2.0) -> tuple[int, bytes]:
    """The status and the body of what HTTP has at `path`. Raises OSError, or ValueError where it is no answer of HTTP."""
    question = f"GET {path} HTTP/1.0\r\n\r\n".encode()
    head, _, body = (await _answer(address, question, ask_s, lambda reader: reader.read(PAGE_BYTES_MAX))).partition(b"\r\n\r\n")
    _, status, *_ = head.split(b" ", 2)
    return int(status), body


async def _answer(address: Address, question: bytes, ask_s: float, read: Callable[[asyncio.StreamReader], Awaitable[bytes]]) -> bytes:
    async with asyncio.timeout(ask_s):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        try:
            writer.write(question)
            answer = await read(reader)
        finally:
            writer.close()
    if not answer:
        raise ConnectionError(f"{address} closed the connection without a word")
    return answer
