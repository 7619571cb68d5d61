"""What stands in a stream, as the server hands it out directly: by place, and not by what a publisher wrote into its headers.

nats-py takes a stored message without a body for the server's word where one of its headers is called `Status`. Here what has a
place is a message, and only what has none is the server's word.
"""

from datetime import datetime

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from bus.cancelling import heeded
from bus.errors import Unavailable

PAGE_LEN = 500
"""Messages asked for in one step of a scan."""
PAGE_BYTES_MAX = 16 * 1024 * 1024
"""Most bytes of one step; a larger message comes alone."""
SILENCE_S = 10.0
"""Longest wait for the next message of a step."""
SEQUENCE = "Nats-Sequence"
SUBJECT = "Nats-Subject"
TIME = "Nats-Time-Stamp"


class Standing(msgspec.Struct, frozen=True):
    """A message where it stands, with the headers that the server adds."""

    seq: int
    subject: str
    time: datetime
    headers: dict[str, str]
    data: bytes


async def at(nc: Client, stream: str, seq: int) -> Standing | None:
    """What stands at `seq` of `stream` (its name on the server); None for nothing. Raises `Unavailable`."""
    found = await page(nc, stream, seq, 1)
    return found[0] if found and found[0].seq == seq else None


async def page(nc: Client, stream: str, first: int, length: int = PAGE_LEN) -> list[Standing]:
    """What stands from `first` on, at most `length`; empty at the end. Reads buckets too, whatever their subjects. Raises `Unavailable`."""
    request = b'{"seq":%d,"batch":%d,"max_bytes":%d,"next_by_subj":">"}' % (first, length, PAGE_BYTES_MAX)
    sub: Subscription | None = None
    try:
        sub = await nc.subscribe(nc.new_inbox(), pending_msgs_limit=2 * PAGE_LEN, pending_bytes_limit=8 * PAGE_BYTES_MAX)
        await nc.publish(f"$JS.API.DIRECT.GET.{stream}", request, reply=sub.subject)
        return await _until_its_end(sub, stream)
    except (nats.errors.Error, OSError, TimeoutError) as e:
        raise Unavailable(f"{stream} cannot be read: {str(e) or type(e).__name__}") from e
    finally:
        if sub is not None and nc.is_connected:
            await sub.unsubscribe()


async def _until_its_end(sub: Subscription, stream: str) -> list[Standing]:
    """The messages of one step; the server says how many it has sent, so that a lost one is noticed."""
    found: list[Standing] = []
    while True:
        with heeded():
            msg = await sub.next_msg(timeout=SILENCE_S)
        headers = msg.headers or {}
        match None if SEQUENCE in headers else headers.get("Status"):
            case None:
                found.append(_standing(msg, headers))
            case "204":
                if found and int(headers.get("Nats-Last-Sequence", found[-1].seq)) != found[-1].seq:
                    raise Unavailable(f"messages of {stream} were lost on the way from the server")
                return found
            case "404":
                return found
            case status:
                raise Unavailable(f"{stream} cannot be read: {status} {headers.get('Description', '')}")


def _standing(msg: Msg, headers: dict[str, str]) -> Standing:
    """The server's own lines stand last, and of two with one name the last counts."""
    return Standing(int(headers[SEQUENCE]), headers[SUBJECT], datetime.fromisoformat(headers[TIME]), headers, msg.data)
