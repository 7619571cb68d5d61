"""nats-py's client, whose reading loop nothing that comes ends: nats-py stops reading, without closing, at two things."""

import asyncio
import logging
from typing import Any

from nats.aio.client import Client

log = logging.getLogger("cerebro_agent")


class LastingClient(Client):
    """Reads on after a header block that cannot be read, and after an answer to a flush that was given up."""

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
