"""Following the log for a caller: what comes, in its order, until nobody wants it any more."""

import asyncio
from collections.abc import AsyncGenerator

from bus.log import Follower
from gateway.call import Gate
from schemas.entry import Entry, Malformed


async def batches(gate: Gate, follower: Follower) -> AsyncGenerator[list[Entry | Malformed] | None, None]:
    """What the follower reads; None each time that nothing has come for `stream_keep_alive_s`. It ends when the gateway stops.

    Nothing is read ahead but one batch: a slow reader slows its own stream only.
    """
    read = aiter(follower)
    closing = asyncio.create_task(gate.closing.wait(), name="following: hear the gateway stop")
    coming = asyncio.ensure_future(anext(read))
    try:
        while True:
            done, _ = await asyncio.wait({coming, closing}, timeout=gate.settings.stream_keep_alive_s, return_when=asyncio.FIRST_COMPLETED)
            if closing in done:
                return
            if coming in done:
                yield coming.result()
                coming = asyncio.ensure_future(anext(read))
            else:
                yield None
    finally:
        closing.cancel()
        coming.cancel()
        await asyncio.gather(closing, coming, return_exceptions=True)
