"""What nats-py makes of what it receives, so that nothing that comes can end its reading loop and with it the hearing of who reads.

nats-py takes a block's first line apart outside of its own guard: a status that is no text, or a block that ends too early, raises
in its reading loop, which then stops for good without closing the connection. Where such a message is stored, that
happens again after every restart. Here such a block has those headers that can be read, and everything goes on.

Likewise the server's answer to a flush that was given up meanwhile, by a time-out or by who waited for it: nats-py would set the result
of a future that is cancelled, which raises there too. Here that answer is counted, and nobody is told.

And nats-py's flush overtakes what waits to be sent, as it writes its question past that: whoever had subscribed and flushed was now and
then not heard yet. Here what waits is written first.

Lastly, whoever is cancelled in the moment of an answer goes on as if he were not, by Python 3.11's `wait_for`. Here he ends.
"""

import asyncio
import logging
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg

from bus.cancelling import heeded

log = logging.getLogger("cerebro.bus")

BAD_BLOCK = (IndexError, ValueError)
"""What taking a header block apart raises; a UnicodeDecodeError is a ValueError."""


def guarded(nc: Client) -> Client:
    """The connection itself, which from here on does all of this."""
    read, answered, ask = nc._process_headers, nc._process_pong, nc._send_ping  # noqa: SLF001 - nats-py has no other place for it
    request, flush = nc.request, nc.flush

    async def readable(headers: Any) -> dict[str, str] | None:
        try:
            return await read(headers)
        except BAD_BLOCK as e:
            log.warning("a message came with headers that cannot be read: %s", e)
            return nc._parse_header_lines(headers or b"")  # noqa: SLF001

    async def awaited() -> None:
        if nc._pongs and nc._pongs[0].done():  # noqa: SLF001
            nc._pongs[0] = asyncio.get_running_loop().create_future()  # noqa: SLF001 - in its place, as answers come in order
        await answered()

    async def in_its_turn(future: asyncio.Future[Any] | None = None) -> None:
        if nc.is_connected and nc._pending:  # noqa: SLF001
            nc._transport.writelines(nc._pending)  # type: ignore[union-attr]  # noqa: SLF001
            nc._pending, nc._pending_data_size = [], 0  # noqa: SLF001
        await ask(future)

    async def requested(*args: Any, **options: Any) -> Msg:
        with heeded():
            return await request(*args, **options)

    async def flushed(*args: Any, **options: Any) -> None:
        with heeded():
            await flush(*args, **options)

    nc.request, nc.flush = requested, flushed  # type: ignore[method-assign]
    nc._process_headers, nc._process_pong, nc._send_ping = readable, awaited, in_its_turn  # type: ignore[method-assign]  # noqa: SLF001
    return nc
