"""What nats-py makes of the headers of a message, so that no publisher can end the connection of whoever reads it.

nats-py takes a block's first line apart outside of its own guard: a status that is no text, or a block that ends too early, raises
in its reading loop, which then stops for good without closing the connection. Where such a message is stored, that
happens again after every restart. Here such a block has those headers that can be read, and everything goes on.
"""

import logging
from typing import Any

from nats.aio.client import Client

log = logging.getLogger("cerebro.bus")

BAD_BLOCK = (IndexError, ValueError)
"""What taking a header block apart raises; a UnicodeDecodeError is a ValueError."""


def guarded(nc: Client) -> Client:
    """The connection itself, which from here on passes over headers that cannot be read."""
    read = nc._process_headers  # noqa: SLF001 - nats-py has no other place for it

    async def readable(headers: Any) -> dict[str, str] | None:
        try:
            return await read(headers)
        except BAD_BLOCK as e:
            log.warning("a message came with headers that cannot be read: %s", e)
            return nc._parse_header_lines(headers or b"")  # noqa: SLF001

    nc._process_headers = readable  # type: ignore[method-assign]  # noqa: SLF001
    return nc
