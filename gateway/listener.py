"""Hears what the log accepted, from the server's own copies, and counts it."""

import nats.errors
from nats.aio.msg import Msg

from bus import subjects
from bus.connection import Bus
from bus.errors import Unavailable
from gateway.metrics import Metrics

COPIES = f"{subjects.LOG_COPY}.>"
PENDING_MSGS_MAX = 100_000
"""Most copies that wait to be counted; more are dropped, and the count is then too low."""


async def count_messages(bus: Bus, metrics: Metrics) -> None:
    """Count every entry that the log accepts from now on; the subscription lasts as long as the connection, over reconnects."""

    async def count(msg: Msg) -> None:
        found = subjects.find(bus.plain(msg.subject).removeprefix(f"{subjects.LOG_COPY}."))
        if found is not None:
            row, tokens = found
            metrics.message(row.name, tokens.get("agent", "mesh"))

    try:
        await bus.nc.subscribe(bus.wire(COPIES), cb=count, pending_msgs_limit=PENDING_MSGS_MAX)
    except (nats.errors.Error, OSError) as e:
        raise Unavailable(f"NATS: {e}") from e
