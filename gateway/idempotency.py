"""`Idempotency-Key`: the first reply to a key is kept in a bucket of NATS, and given again to the same request.

A record is `pending` while its request is worked on, `done` with its reply, or `open` after a reply that is not final
(5xx): then the same request is run again. Ids that a request makes are derived from its key and fingerprint, so that
a second run, after a crash in the middle, has the same effects once. A request that is refused as malformed (400)
never reaches this place: its key is still free.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable

import msgspec
import nats.errors
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from bus.connection import Bus
from bus.errors import Unavailable, bad_request, refusal
from bus.ids import uuid7
from gateway.call import Answer, Gate, Ids
from schemas.replies import KeptReply

log = logging.getLogger("cerebro.gateway")

KEY = "idempotency-key"
KEY_LEN_MAX = 255
"""Longest key, in characters."""
BUCKET = "idempotency"
REPLY_BYTES_MAX = 900_000
"""Largest reply that is kept; of a larger one only the fingerprint is, and the request is run again."""
POLL_S_MIN = 0.02
POLL_S_MAX = 0.5
"""How often the second of two equal requests looks for the reply of the first."""


def key_of(values: list[str]) -> str | None:
    """The key of a request, None without one. Raises 400 for one that is empty, too long, or given twice."""
    if not values:
        return None
    key = values[0]
    if len(values) > 1 or not key or len(key) > KEY_LEN_MAX or not key.isprintable():
        raise bad_request(f"Idempotency-Key must stand once, with 1 to {KEY_LEN_MAX} printable characters", "Idempotency-Key")
    return key


def fingerprint(method: str, path: str, query: bytes, raw: bytes) -> str:
    """What makes two requests the same."""
    digest = hashlib.sha256()
    for part in (method.encode(), path.encode(), query, raw):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


class FirstReplies:
    """The replies kept by key."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._kv: tuple[Bus, KeyValue] | None = None

    async def once(self, key: str, print_: str, run: Callable[[Ids], Awaitable[Answer]]) -> Answer:
        """Run the request, or give the first reply again. Raises 422 where the key was used for another request."""
        name = hashlib.sha256(key.encode()).hexdigest()
        owner = uuid7()
        claimed = await self._claim(name, print_, owner)
        if isinstance(claimed, KeptReply):
            return _again(claimed)
        answer = Answer(status=500)
        try:
            answer = await run(Ids(f"{key}\x1f{print_}"))
        finally:
            await self._keep(name, print_, owner, answer, claimed)
        return answer

    async def _claim(self, name: str, print_: str, owner: str) -> KeptReply | int:
        """The kept reply, or the revision under which this run owns the key."""
        pause = POLL_S_MIN
        pending = msgspec.json.encode(KeptReply(fingerprint=print_, state="pending", owner=owner, since=self._gate.bus.clock()))
        while True:
            found = await self._get(name)
            if found is None:
                revision = await self._put(name, pending, None)
            else:
                record, at = found
                if record.fingerprint != print_:
                    raise refusal(422, "this Idempotency-Key was used for another request", code="idempotency_key_reused")
                if record.state == "done":
                    return record
                if record.owner == owner:
                    return at  # our own claim, whose acknowledgement was lost
                revision = await self._put(name, pending, at) if self._is_free(record) else None
            if revision is not None:
                return revision
            await asyncio.sleep(pause)
            pause = min(POLL_S_MAX, pause * 1.5)

    def _is_free(self, record: KeptReply) -> bool:
        return record.state == "open" or self._gate.bus.clock() - record.since > self._gate.settings.pending_s_max

    async def _keep(self, name: str, print_: str, owner: str, answer: Answer, revision: int) -> None:
        """Keep a final reply. Where it cannot be kept, the request would be run again, with the same effects."""
        whole = answer.parts is None and len(answer.content) <= REPLY_BYTES_MAX
        final = whole and answer.status < 500 and answer.status != 408
        try:
            record = KeptReply(fingerprint=print_, state="open", owner=owner, since=self._gate.bus.clock())
            if final:
                record = msgspec.structs.replace(
                    record, state="done", status=answer.status, media=answer.media, headers=answer.headers, content=answer.content.decode()
                )
            await self._put(name, msgspec.json.encode(record), revision)
        except Unavailable as e:
            log.warning("a reply could not be kept for its Idempotency-Key: %s", e)

    async def _get(self, name: str) -> tuple[KeptReply, int] | None:
        try:
            entry = await (await self._bucket()).get(name)
        except KeyNotFoundError:
            return None
        except (nats.errors.Error, OSError, TimeoutError) as e:
            raise Unavailable(f"kept replies cannot be read: {e}") from e
        if entry.value is None or entry.revision is None:
            return None
        return msgspec.json.decode(entry.value, type=KeptReply), entry.revision

    async def _put(self, name: str, value: bytes, last: int | None) -> int | None:
        """Write if nobody else did; the revision, or None when somebody was first."""
        bucket = await self._bucket()
        try:
            return await (bucket.create(name, value) if last is None else bucket.update(name, value, last=last))
        except KeyWrongLastSequenceError:
            return None
        except (nats.errors.Error, OSError, TimeoutError) as e:
            raise Unavailable(f"replies cannot be kept: {e}") from e

    async def _bucket(self) -> KeyValue:
        bus = self._gate.bus
        if not bus.connected:
            raise Unavailable("NATS is away")
        if self._kv is None or self._kv[0] is not bus:
            self._kv = (bus, await bus.kv(BUCKET))
        return self._kv[1]


def _again(record: KeptReply) -> Answer:
    headers = {**record.headers, "idempotent-replayed": "true"}
    return Answer(status=record.status, content=record.content.encode(), media=record.media, headers=headers)
