"""Ids: time-ordered ones for what we publish, derived ones for what others published without an id."""

import secrets
import time
import uuid

NAMESPACE = uuid.UUID("6d1f0a52-3b0e-5d2e-9a63-0d6f2f7f3c11")
"""Namespace of every UUIDv5 of this project."""


def uuid7() -> str:
    """A UUIDv7 (RFC 9562 §5.7): 48 bits of milliseconds, then random."""
    value = time.time_ns() // 1_000_000 << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def derived(*parts: object) -> str:
    """The UUIDv5 of these parts: the same parts give the same id, on every replica and after every restart."""
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(str(p) for p in parts)))


def affect_answer_id(agent: str, event_id: str, seq: int) -> str:
    """The id of the state by which the built-in `agent` answers the entry at `seq`: the same after every restart."""
    return derived("affect", agent, event_id, seq)


def event_id(incarnation: str, seq: int) -> str:
    """The id of an entry whose publisher gave none: UUIDv5 of stream incarnation and sequence."""
    return derived(incarnation, seq)
