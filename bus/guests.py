"""Guests: agents that others host by the Synadia Agent Protocol for NATS (0.3). Heard, looked up, and prompted as its clients do."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from bus import entries
from bus.connection import ERROR_CODE, ERROR_TEXT, Bus
from bus.errors import Refused, Unavailable, refusal
from bus.subjects import AGENT_HEARTBEAT
from schemas.synadia import SERVICE, Chunk, Envelope, FailureBody, Heartbeat, Registration

log = logging.getLogger("cerebro.bus")

INFO = "$SRV.INFO"
PING = "$SRV.PING"
_INBOX = re.compile(r"_INBOX(\.[A-Za-z0-9_-]+)+")
STATUS = "Status"
NO_RESPONDERS = "503"
"""What the server itself answers to a request that nobody listens to."""
LOOK_S = 1.0
"""How long answers to a look-up are gathered, and longest wait for a ping's."""
BAD_CHUNK = "bad_chunk"
"""The code of an answer that the protocol does not know."""
FOUND_MAX = 1_000
"""Most answers to one look-up that are read."""


async def listen(bus: Bus, heard: Callable[[Heartbeat], None]) -> None:
    """Call `heard` for every sign of life from now on; what is none is passed over. Raises `Unavailable`."""

    async def on_beat(msg: Msg) -> None:
        """One heartbeat, as the server hands it over."""
        try:
            beat: Heartbeat = entries.decode(Heartbeat, msg.data)
        except entries.BAD_BODY as e:
            log.debug("no heartbeat on %s: %s", msg.subject, e)
            return
        heard(beat)

    try:
        await bus.nc.subscribe(bus.address(AGENT_HEARTBEAT), cb=on_beat)
        await bus.nc.flush()
    except (nats.errors.Error, OSError) as e:
        raise Unavailable(f"NATS: {e}") from e


async def look(bus: Bus) -> list[Registration]:
    """Every agent that answers within a second. Raises `Unavailable`."""
    found: list[Registration] = []
    inbox = bus.open_inbox()
    try:
        heard = await bus.nc.subscribe(inbox, max_msgs=FOUND_MAX)
        await bus.nc.publish(f"{INFO}.{SERVICE}", reply=inbox)
        try:
            async with asyncio.timeout(LOOK_S):
                async for msg in heard.messages:
                    found += _registration(msg)
        except TimeoutError:
            pass  # whoever has not answered by now is found by its heartbeat
        finally:
            await _unsubscribe(heard)
    except (nats.errors.Error, OSError) as e:
        raise Unavailable(f"NATS: {e}") from e
    return found


async def inform(bus: Bus, instance: str) -> Registration | None:
    """What this one instance tells of itself; None where it does not answer."""
    try:
        reply = await _request(bus, f"{INFO}.{SERVICE}.{instance}")
    except (nats.errors.Error, OSError, TimeoutError):
        return None
    return next(iter(_registration(reply)), None)


def _registration(msg: Msg) -> list[Registration]:
    try:
        return [entries.decode(Registration, msg.data)] if msg.data else []
    except entries.BAD_BODY as e:
        log.info("an agent tells of itself what cannot be read: %s", e)
        return []


async def ping(bus: Bus, instance: str) -> bool | None:
    """Whether this instance is there: False where nobody listens any more, None where nothing is known."""
    try:
        await _request(bus, f"{PING}.{SERVICE}.{instance}")
    except nats.errors.NoRespondersError:
        return False
    except (nats.errors.Error, OSError, TimeoutError):
        return None
    return True


async def _request(bus: Bus, subject: str) -> Msg:
    """As the client's own request, answered where parties that are not ours may answer."""
    inbox = bus.open_inbox()
    heard = await bus.nc.subscribe(inbox, max_msgs=1)
    try:
        await bus.nc.publish(subject, reply=inbox)
        msg = await heard.next_msg(timeout=LOOK_S)
    finally:
        await _unsubscribe(heard)
    if (msg.headers or {}).get(STATUS) == NO_RESPONDERS:
        raise nats.errors.NoRespondersError
    return msg


async def prompt(bus: Bus, subject: str, envelope: Envelope, stall_s: float) -> AsyncIterator[Chunk]:
    """Prompt the agent that listens on `subject`; its chunks until its terminator.

    Raises `Refused` with its code where it answers an error, `Unavailable` where nobody listens, or nothing came for `stall_s`.
    """
    inbox = bus.open_inbox()
    try:
        heard = await bus.nc.subscribe(inbox)
        try:
            await bus.nc.publish(subject, msgspec.json.encode(envelope), reply=inbox)
            while (msg := await heard.next_msg(timeout=stall_s)).data or msg.headers:
                yield _chunk(msg)
        finally:
            await _unsubscribe(heard)
    except (nats.errors.TimeoutError, TimeoutError) as e:
        raise Unavailable(f"nothing was heard on {subject} for {stall_s:g} s") from e
    except (nats.errors.Error, OSError) as e:
        raise Unavailable(f"NATS: {e}") from e


async def reply(bus: Bus, subject: str, text: str) -> None:
    """Answer the question that an agent asked while it was prompted. Raises `Unavailable`; `Refused` where the answer would go to a
    subject that is no inbox: we may publish where the agent that asked may not.
    """
    if not _INBOX.fullmatch(subject):
        raise refusal(500, f"{subject!r} is no inbox, and nothing is answered there", code=BAD_CHUNK)
    try:
        await bus.nc.publish(subject, msgspec.json.encode(Envelope(prompt=text)))
    except (nats.errors.Error, OSError) as e:
        raise Unavailable(f"NATS: {e}") from e


def _chunk(msg: Msg) -> Chunk:
    headers = msg.headers or {}
    if headers.get(STATUS) == NO_RESPONDERS:
        raise Unavailable(f"nobody listens on {msg.subject}")
    if code := headers.get(ERROR_CODE):
        raise _refused(int(code) if code.isdigit() else 500, headers.get(ERROR_TEXT, ""), msg.data)
    try:
        chunk: Chunk = entries.decode(Chunk, msg.data)
    except entries.BAD_BODY as e:
        raise refusal(500, f"the agent answers what is no chunk: {e}", code=BAD_CHUNK) from e
    return chunk


def _refused(status: int, text: str, data: bytes) -> Refused:
    """The error frame's code and sentence; its body says more than its headers where there is one (9.1)."""
    try:
        body: FailureBody = entries.decode(FailureBody, data)
    except entries.BAD_BODY:
        return refusal(status, text or "the agent answered an error without a word")
    return refusal(status, body.message or text, code=body.error)


async def _unsubscribe(heard: Subscription) -> None:
    """Hear no more; where the connection is gone nothing is heard anyway."""
    try:
        await heard.unsubscribe()
    except (nats.errors.Error, OSError) as e:
        log.debug("not unsubscribed: %s", e)
