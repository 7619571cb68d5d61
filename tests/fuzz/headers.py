"""Header blocks as a hostile publisher writes them. Empty: the message has none."""

from random import Random

LINE = b"NATS/1.0\r\n"
VALUES = (
    b"",
    b" ",
    b"x",
    b"\xff\xfe",
    b"a" * 300,
    b"a" * 5_000,
    b"\xc3\xa9",
    b"-1",
    b"0",
    b"99999999999999999999",
    b"a\x00b",
    b"a:b:c",
    b"%00",
)
NAMES = (
    b"Nats-Msg-Id",
    b"traceparent",
    b"tracestate",
    b"ce-id",
    b"ce-time",
    b"ce-specversion",
    b"Cerebro-Event-Id",
    b"Cerebro-Via",
    b"Nats-Stream-Source",
    b"Nats-Stream",
    b"Nats-Subject",
    b"Nats-Sequence",
    b"Nats-Time-Stamp",
    b"Nats-Last-Sequence",
    b"Nats-Num-Pending",
    b"Nats-Expected-Stream",
    b"Nats-Expected-Last-Sequence",
    b"Nats-Expected-Last-Subject-Sequence",
    b"Nats-Expected-Last-Msg-Id",
    b"Nats-Rollup",
    b"Nats-TTL",
    b"Nats-Schedule",
    b"KV-Operation",
    b"Status",
    b"Nats-Service-Error-Code",
    b"nats-msg-id",
    b"\xff",
    b"a b",
    b"",
)
BLOCKS = (
    LINE,
    LINE + b"\r\n",
    LINE + b"no colon\r\n\r\n",
    LINE + b": no name\r\n\r\n",
    LINE + b"a: 1\r\na: 2\r\n\r\n",
    LINE + b"folded: 1\r\n 2\r\n\r\n",
    LINE + b"no end: 1",
    b"NATS/1.0",
    b"NATS/9.9\r\na: 1\r\n\r\n",
    b"NATS/1.0 100 Idle Heartbeat\r\n\r\n",
    b"NATS/1.0 404 No Messages\r\n\r\n",
    b"NATS/1.0 409 Consumer Deleted\r\nNats-Pending-Messages: x\r\n\r\n",
    b"NATS/1.0 503\r\n\r\n",
    b"NATS/1.0 \xff\xff\xff\r\n\r\n",
    b"NATS/1.0 200 \xff\xfe\r\na: 1\r\n\r\n",
    b"NATS/1.0 \r\n\r\n",
    b"\xff" * 12,
    b"\x00" * 40,
)
"""Blocks that no client library writes. One of a single byte is not among them: NATS 2.15.1 ends at it (docs/fuzzing.md)."""
TRACES = (
    b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    b"00-00000000000000000000000000000000-0000000000000000-00",
    b"ff-" + b"f" * 500,
    b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-zz",
)


def odd(chance: Random) -> bytes:
    """A block that is wrong in some way, or only unusual."""
    if chance.random() < 0.3:
        return chance.choice(BLOCKS)
    lines = [_line(chance) for _ in range(chance.choice((1, 1, 2, 30)))]
    return LINE + b"".join(lines) + b"\r\n"


def with_id(ident: str) -> bytes:
    return LINE + b"Nats-Msg-Id: " + ident.encode() + b"\r\n\r\n"


def _line(chance: Random) -> bytes:
    name = chance.choice(NAMES)
    value = chance.choice(TRACES) if name == b"traceparent" and chance.random() < 0.7 else chance.choice(VALUES)
    return name + chance.choice((b": ", b":", b" : ")) + value + b"\r\n"
