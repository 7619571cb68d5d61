"""From a stored message to an entry of the log: where headers are missing, they are derived from the log itself."""

import functools
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from bus import subjects
from bus.ids import event_id
from schemas.entry import Entry, Malformed

MSG_ID = "Nats-Msg-Id"
VIA = "Cerebro-Via"
EVENT_ID = "Cerebro-Event-Id"
"""The event id of a redriven dead letter, which travels under a new message id past the server's duplicate window."""
SOURCE = "Nats-Stream-Source"
"""Where a sourced copy came from: `<stream> <seq> …`, written by the server."""

_PLACE = re.compile(r"\S+ (\d{1,19}) ")
SERVERS_WORDS = (b'{"stream":"', b'{"type":"io.nats.')
"""How the server's acknowledgements and its answers of JetStream begin. It sends them wherever a request asks, whoever asked."""

BAD_BODY = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""Everything that decoding hostile JSON can raise."""


@functools.cache
def decoder(body: Any) -> msgspec.json.Decoder[Any]:
    """The decoder of a body type, made once."""
    return msgspec.json.Decoder(body)


def decode(body: Any, data: bytes) -> Any:
    """`data` as `body`; an empty message is an empty object. Raises one of `BAD_BODY`."""
    return decoder(body).decode(data or b"{}")


def place_in_log(headers: Mapping[str, str]) -> int | None:
    """Where in the log this copy was made from, as the server wrote it; None where that cannot be read."""
    found = _PLACE.match(headers.get(SOURCE, ""))
    return int(found[1]) if found else None


def read(
    subject: str, headers: Mapping[str, str] | None, data: bytes, seq: int, time: datetime, incarnation: str, *, copied: bool = False
) -> Entry | Malformed:
    """The entry that stands at `seq`, or why it is none. Never raises for what a publisher wrote.

    `copied`: it was read from a stream that the server copies from the log, and has its place there in a header of the server's.
    """
    headers = headers or {}
    place = place_in_log(headers) if copied else seq
    seq = seq if place is None else place
    ident = headers.get(EVENT_ID) or headers.get(MSG_ID) or event_id(incarnation, seq)
    found = subjects.find(subject)
    if place is None:
        reason = "its headers do not say where it stands in the log"
    elif found is None:
        reason = "no such subject in the table"
    elif data.startswith(SERVERS_WORDS):
        reason = "an answer of the server, which a publisher led here by its reply subject: it speaks for nobody"
    else:
        row, tokens = found
        try:
            body = decode(row.body, data)
        except BAD_BODY as e:
            reason = f"{type(e).__name__}: {e}"
        else:
            via = headers.get(VIA) == "gateway"
            return Entry(
                seq=seq,
                time=time,
                event_id=ident,
                subject=subject,
                name=row.name,
                tokens=tokens,
                body=body,
                via_gateway=via,
                sourced=copied,
            )
    return Malformed(seq=seq, time=time, event_id=ident, subject=subject, reason=reason, headers=dict(headers), data=data)
