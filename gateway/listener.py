"""Hears what the log accepted, from the server's own copies, and counts it."""

import logging

import msgspec
import nats.errors
from nats.aio.msg import Msg

from bus import subjects
from bus.connection import Bus
from bus.errors import Unavailable
from gateway.metrics import Metrics
from schemas.llm import LLM_CALL, CallContext, CallFigures
from schemas.memory import Action

log = logging.getLogger("cerebro.gateway")

MODEL_CALL = LLM_CALL.encode()
COPIES = f"{subjects.LOG_COPY}.>"
PENDING_MSGS_MAX = 100_000
"""Most copies that wait to be counted; more are dropped, and the count is then too low."""


def count_model_call(metrics: Metrics, agent: str, data: bytes) -> None:
    """Count a call to a language model that an agent remembers; what is none, or is told otherwise, is passed over."""
    try:
        action = msgspec.json.decode(data, type=Action)
        if action.action_type == LLM_CALL:
            figures = msgspec.convert(action.action_details, CallFigures)
            metrics.model_call(agent, msgspec.convert(action.context_state, CallContext), figures)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        log.debug("no call of a language model is told by %s: %s", agent, e)


async def count_messages(bus: Bus, metrics: Metrics) -> None:
    """Count every entry that the log accepts from now on; the subscription lasts as long as the connection, over reconnects."""

    async def count(msg: Msg) -> None:
        found = subjects.find(bus.plain(msg.subject).removeprefix(f"{subjects.LOG_COPY}."))
        if found is not None:
            row, tokens = found
            metrics.message(row.name, tokens.get("agent", "mesh"))
            if row is subjects.EPISODE and MODEL_CALL in msg.data:
                count_model_call(metrics, tokens["agent"], msg.data)

    try:
        await bus.nc.subscribe(bus.wire(COPIES), cb=count, pending_msgs_limit=PENDING_MSGS_MAX)
    except (nats.errors.Error, OSError) as e:
        raise Unavailable(f"NATS: {e}") from e
