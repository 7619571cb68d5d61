"""Presence: who says each second that it lives. A member's puts are heard as they are published; nothing is polled."""

from collections.abc import Awaitable, Callable

import msgspec
import nats.errors
from faststream.nats import NatsMessage
from nats.aio.msg import Msg

from bus import entries, subjects
from bus.connection import Bus
from bus.errors import Unavailable
from schemas.members import Profile

OPERATION = "KV-Operation"
"""The header by which a key is deleted."""

Heard = Callable[[str, str, Profile | None], Awaitable[None]]
"""Called with agent, instance, and its profile, or None where it says goodbye."""
Unread = Callable[[str, str, bytes, str], Awaitable[None]]
"""Called with agent, instance, what it put, and why that is no profile."""


async def beat(bus: Bus, agent: str, instance: str, profile: Profile) -> None:
    """Say that this instance lives. Raises `Unavailable`."""
    await _put(bus, agent, instance, msgspec.json.encode(profile), {})


async def goodbye(bus: Bus, agent: str, instance: str) -> None:
    """Say that this instance leaves. Raises `Unavailable`."""
    await _put(bus, agent, instance, b"", {OPERATION: "DEL"})
    try:
        await bus.nc.flush()
    except (nats.errors.Error, OSError, TimeoutError) as e:
        raise Unavailable(f"NATS: {e}") from e


async def _put(bus: Bus, agent: str, instance: str, data: bytes, headers: dict[str, str]) -> None:
    if not bus.connected:
        raise Unavailable("NATS is away")
    try:
        await bus.nc.publish(bus.presence_subject(agent, instance), data, headers=headers or None)
    except (nats.errors.Error, OSError) as e:
        raise Unavailable(f"NATS: {e}") from e


async def listen(bus: Bus, heard: Heard, unread: Unread) -> None:
    """Call `heard` for every profile that is put from now on, and `unread` for what is none. Raises `Unavailable`."""

    async def on_put(msg: Msg) -> None:
        """One put, as the server hands it over."""
        found = subjects.find(msg.subject)
        if found is None or found[0] is not subjects.PRESENCE or _is_the_servers(msg):
            return
        tokens = found[1]
        try:
            profile = None if _is_goodbye(msg) else entries.decode(subjects.PRESENCE.body, msg.data)
        except entries.BAD_BODY as e:
            await unread(tokens["agent"], tokens["instance"], msg.data, f"{type(e).__name__}: {e}")
            return
        await heard(tokens["agent"], tokens["instance"], profile)

    subscriber = bus.broker.subscriber(bus.presence_subject("*", "*"), decoder=_whole, no_reply=True)  # the bucket answers
    subscriber(on_put)
    try:
        await subscriber.start()
        await bus.nc.flush()
    except (nats.errors.Error, OSError) as e:
        raise Unavailable(f"NATS: {e}") from e


def _is_goodbye(msg: Msg) -> bool:
    return not msg.data and (msg.headers or {}).get(OPERATION) in ("DEL", "PURGE")


def _is_the_servers(msg: Msg) -> bool:
    """Whether it is an answer or a sign of life of the server, which is empty: a request may lead them anywhere, and then nobody put it."""
    return msg.data.startswith(entries.SERVERS_WORDS) or (not msg.data and not _is_goodbye(msg))


async def _whole(msg: NatsMessage) -> Msg:
    """The message as it came: a profile is decoded by its row of the table, and a goodbye has no body."""
    return msg.raw_message
