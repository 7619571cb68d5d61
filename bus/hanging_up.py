"""How a connection is hung up on whose server takes nothing in any more.

nats-py closes a lost connection by having what is still to be sent sent first, and waits for that. A server that hangs, or a network
that has forgotten the connection, never takes it: the client would not come back, for as long as the kernel keeps trying. What was to
be sent is given a moment here, then the connection is dropped; whoever waits for an acknowledgement asks again, as after any loss.
"""

import asyncio
from typing import Any

from nats.aio.client import Client

CLOSE_S = 2.0
"""How long what is still to be sent may take when a connection is closed."""


def patient_no_longer(nc: Client) -> Client:
    """The connection itself, which from here on waits no longer than that for a server when it closes."""
    transport: Any = nc._transport  # noqa: SLF001 - nats-py has no other place for it; it is the same for all its connections
    closed = transport.wait_closed

    async def wait_closed() -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await closed()
        except TimeoutError:
            transport._io_writer.transport.abort()  # noqa: SLF001

    transport.wait_closed = wait_closed
    return nc
