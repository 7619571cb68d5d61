"""How a delivery ends: `Ack | Retry(delay_s) | Terminal(reason)`, and the one place that maps it to NATS."""

import base64
from collections.abc import Mapping

import msgspec
import nats.errors

from bus import subjects
from bus.connection import Bus
from bus.errors import Unavailable
from bus.ids import derived
from bus.log import Delivery
from schemas.dead import DeadLetter
from schemas.entry import Entry, Malformed
from schemas.words import rfc3339


class Ack(msgspec.Struct, frozen=True):
    """Done, and on disk wherever it has to be."""


class Retry(msgspec.Struct, frozen=True):
    """Not now: deliver it again, not before `delay_s`."""

    delay_s: float


class Terminal(msgspec.Struct, frozen=True):
    """Never: it goes to the dead letters with its reason."""

    reason: str


Outcome = Ack | Retry | Terminal


async def settle(bus: Bus, delivery: Delivery, outcome: Outcome) -> None:
    """Tell the server. A dead letter is on disk before its message is given up. Raises `Unavailable`."""
    try:
        match outcome:
            case Ack():
                await delivery.msg.ack()
            case Retry(delay_s):
                await delivery.msg.nak(delay=delay_s)
            case Terminal(reason):
                await bury(bus, delivery.entry, delivery.consumer, reason, delivery.msg.headers, delivery.msg.data, delivery.delivered)
                await delivery.msg.term()
    except (nats.errors.Error, OSError) as e:
        raise Unavailable(f"NATS: {e}") from e


async def bury_entry(bus: Bus, entry: Entry | Malformed, consumer: str, reason: str) -> None:
    """As `bury`, for an entry that was read and not delivered. What a well-formed one said is read once more, if it still stands there."""
    if isinstance(entry, Malformed):
        await bury(bus, entry, consumer, reason, entry.headers, entry.data)
        return
    raw = await bus.raw_at(entry.seq)
    await bury(bus, entry, consumer, reason, raw.headers if raw else None, (raw.data if raw else None) or b"")


async def bury(
    bus: Bus, entry: Entry | Malformed, consumer: str, reason: str, headers: Mapping[str, str] | None, data: bytes, delivered: int = 1
) -> None:
    """Write the dead letter, once however often it is tried. Raises `Unavailable`."""
    letter = DeadLetter(
        reason=reason,
        subject=entry.subject,
        stream_seq=entry.seq,
        delivered=delivered,
        headers=dict(headers or {}),
        data=base64.b64encode(data).decode(),
        first_seen=rfc3339(entry.time),
        last_error=f"{rfc3339(bus.now())} {reason}",
    )
    ident = derived("dead", await bus.log_incarnation(), entry.seq, consumer)
    await bus.publish(subjects.DEAD_LETTER, letter, msg_id=ident, stream=subjects.MESH, consumer=consumer)
