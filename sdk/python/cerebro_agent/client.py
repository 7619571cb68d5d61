"""nats-py's client, which nothing that comes, or does not come, keeps from reading: by itself it stops, or waits, at three things.

And whoever is cancelled in the moment of an answer ends.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg

from cerebro_agent.cancelling import heeded

log = logging.getLogger("cerebro_agent")

CLOSE_S = 2.0
"""How long what is still to be sent may take when a lost connection is closed."""


class LastingClient(Client):
    """Reads on after a header block that cannot be read, and after an answer to a flush that was given up; a lost connection whose server
    takes nothing in any more is dropped after `CLOSE_S`: it would wait for as long as the kernel tries, and not come back.
    """

    async def _process_headers(self, headers: Any) -> dict[str, str] | None:
        try:
            return await super()._process_headers(headers)
        except (IndexError, ValueError) as e:  # a status that is no text, or a block that ends too early
            log.warning("a message came with headers that cannot be read: %s", e)
            return self._parse_header_lines(headers or b"")

    async def _process_pong(self) -> None:
        if self._pongs and self._pongs[0].done():
            self._pongs[0] = asyncio.get_running_loop().create_future()  # in its place, as answers come in order
        await super()._process_pong()

    async def _send_ping(self, future: asyncio.Future[Any] | None = None) -> None:
        if self.is_connected and self._pending and self._transport is not None:  # or a flush would overtake what waits to be sent
            self._transport.writelines(self._pending)
            self._pending, self._pending_data_size = [], 0
        await super()._send_ping(future)

    async def request(self, *args: Any, **options: Any) -> Msg:
        with heeded():
            return await super().request(*args, **options)

    async def flush(self, *args: Any, **options: Any) -> None:
        with heeded():
            await super().flush(*args, **options)

    async def _connect_to_server(self, s: Any) -> None:
        await super()._connect_to_server(s)
        transport: Any = self._transport
        if "wait_closed" not in vars(transport):
            transport.wait_closed = _bounded(transport)


def _bounded(transport: Any) -> Callable[[], Awaitable[None]]:
    closed = transport.wait_closed

    async def wait_closed() -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await closed()
        except TimeoutError:
            transport._io_writer.transport.abort()  # noqa: SLF001 - nats-py has no other place for it

    return wait_closed
