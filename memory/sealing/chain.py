"""The chain: how a row becomes a digest, digests become links, and a link becomes what is signed. Pure.

Every hash is SHA-256 (FIPS 180-4) over a label of its own, so that none can stand for another.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

GENESIS: Final = bytes(32)
"""The link before the first."""
SALT_BYTES: Final = 16
"""Random bytes before a row: without them nobody can try out what a forgotten row may have said."""


def digest(salt: bytes, columns: Sequence[str | None]) -> bytes:
    """32 bytes that stand for a row: its columns as PostgreSQL writes them, as one JSON array."""
    return hashlib.sha256(b"cerebro row 1\0" + salt + msgspec.json.encode(columns)).digest()


def link(before: bytes, seq: int, of_row: bytes) -> bytes:
    """32 bytes that stand for a row at its place in the log, and for all before it."""
    return hashlib.sha256(b"cerebro link 1\0" + before + seq.to_bytes(8, "big") + of_row).digest()


def said(stream: str, last_seq: int, head: str) -> bytes:
    """What a seal signs: the chain of this stream had this head (hexadecimal) at this place."""
    return b"cerebro seal 1\0" + msgspec.json.encode([stream, last_seq, head])
