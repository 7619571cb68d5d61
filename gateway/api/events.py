"""Server-sent events from the log: what was accepted, in its order, resumable at any entry."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bus import subjects
from bus.connection import Bus
from bus.errors import Unavailable, bad_request
from bus.log import follow
from gateway.call import Answer, Call
from gateway.filters import filters_of
from gateway.following import batches
from schemas.entry import Entry
from schemas.words import rfc3339

MEDIA = "text/event-stream; charset=utf-8"
DEFAULT = f"{subjects.PROTOCOLS},{subjects.EPISODE.wildcard}"
LAST_EVENT_ID = "last-event-id"
COMMENT = b": still here\n\n"


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`subjects`: filters separated by commas, as NATS has them; `last_event_id`: as the header of that name."""

    subjects: Annotated[str, Meta(max_length=2_000)] = DEFAULT
    last_event_id: Annotated[int, Meta(ge=0)] | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of one event."""

    subject: str
    seq: int
    time: str
    body: Any


async def events(call: Call) -> Answer:
    """Follow the log. Each entry is one event: `id` its sequence, `event` its subject.

    Starts at the end of the log, or goes on after `Last-Event-ID` without a gap, as far as the log reaches back.
    A comment is sent when nothing happens, so that proxies keep the connection. Malformed entries are left out.
    """
    wanted = filters_of(call.query.subjects)
    if call.gate.streams >= call.settings.streams_max:
        raise Unavailable(f"{call.gate.streams} event streams are open; no more are served")
    end = await _end_of_log(call.bus)
    after = _resume_at(call)
    if after is not None and after > end:
        raise bad_request(f"the log ends at {end}: nothing has the id {after}", "$.last_event_id")
    return Answer(media=MEDIA, parts=_parts(call, wanted, end if after is None else after), headers={"x-accel-buffering": "no"})


def _resume_at(call: Call) -> int | None:
    header = call.headers.get(LAST_EVENT_ID)
    if header is None:
        found: int | None = call.query.last_event_id
        return found
    if not (header.isascii() and header.isdigit() and len(header) < 20):
        raise bad_request("is no sequence of the log", "Last-Event-ID")
    return int(header)


async def _end_of_log(bus: Bus) -> int:
    info = await bus.api(f"STREAM.INFO.{bus.stream(subjects.MESH)}", {})
    if "error" in info:
        raise Unavailable("the log is not there")
    return int(info["state"]["last_seq"])


async def _parts(call: Call, wanted: list[str], after: int) -> AsyncGenerator[bytes, None]:
    """Events and comments until the gateway stops."""
    yield COMMENT  # the client hears at once that it is connected
    async with aclosing(batches(call.gate, follow(call.bus, wanted, after))) as log:
        async for batch in log:
            if batch is None:
                yield COMMENT
            for entry in batch or ():
                if isinstance(entry, Entry):
                    yield _event(entry)


def _event(entry: Entry) -> bytes:
    data = msgspec.json.encode(Event(subject=entry.subject, seq=entry.seq, time=rfc3339(entry.time), body=entry.body))
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (entry.seq, entry.subject.encode(), data)
