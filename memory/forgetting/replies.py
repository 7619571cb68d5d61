"""Replies that the gateway keeps by `Idempotency-Key`: one that names what was forgotten may say what it said, and is erased."""

import re
from collections.abc import Container
from typing import Any, Final

import msgspec
import nats.errors
from nats.js.errors import KeyWrongLastSequenceError

from bus import entries
from bus.connection import Bus
from bus.erasing import erase, stored
from bus.errors import Unavailable
from memory.forgetting.hashes import id_hash
from memory.indexed_text import strings
from schemas.problem import Problem
from schemas.replies import KeptReply

BUCKET: Final = "idempotency"
UUID_IN_TEXT: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
GONE: Final = Problem(
    title="Gone", status=410, detail="the first reply to this Idempotency-Key named what was forgotten since", code="forgotten"
)
PROBLEM_JSON: Final = "application/problem+json"


async def erase_replies(bus: Bus, hashes: Container[bytes]) -> None:
    """Erase them; the same request is told 410 instead, and is not run again. Raises `Unavailable`."""
    bucket = f"KV_{bus.stream(BUCKET)}"
    named = []
    async for msg in stored(bus, bucket):
        kept = _kept(msg.data)
        if kept is not None and kept.state == "done" and names_any(kept, hashes):
            named.append((msg.seq, msg.subject.rpartition(".")[2], kept))
    for seq, key, kept in named:
        if await erase(bus, bucket, seq):
            await _replace(bus, key, kept)


def _kept(data: bytes) -> KeptReply | None:
    try:
        return msgspec.json.decode(data, type=KeptReply)
    except entries.BAD_BODY:
        return None


def names_any(kept: KeptReply, hashes: Container[bytes]) -> bool:
    """Whether a reply names one of these ids, as a value or within a text."""
    try:
        values = strings(msgspec.json.decode(kept.content))
    except entries.BAD_BODY:
        values = []
    found = {*values, *kept.headers.values(), *UUID_IN_TEXT.findall(kept.content)}
    return any(id_hash(text) in hashes for text in found)


async def _replace(bus: Bus, key: str, kept: KeptReply) -> None:
    told: dict[str, Any] = {"status": 410, "media": PROBLEM_JSON, "headers": {}, "content": msgspec.json.encode(GONE).decode()}
    try:
        await (await bus.kv(BUCKET)).create(key, msgspec.json.encode(msgspec.structs.replace(kept, **told)))
    except KeyWrongLastSequenceError:
        return  # the key has been used again since
    except (nats.errors.Error, OSError, TimeoutError) as e:
        raise Unavailable(f"replies cannot be kept: {e}") from e
