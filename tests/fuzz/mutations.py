"""Good bodies made bad: each mutation takes a value and its bytes, and returns other bytes. All chance is an argument."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import msgspec

Mutation = Callable[[Any, bytes, Random], bytes]

HOLE = "\x01hole\x01"
"""Stands in a value where bytes go that no encoder would write."""
NUMBERS = (
    b"1e400",
    b"-1e400",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"-0",
    b"9" * 400,
    b"1e-400",
    b"18446744073709551616",
    b"0x10",
    b"01",
    b"1.",
)
TEXTS = (b'"\\u0000"', b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xff\xfe"', b'"\xed\xa0\x80"', b'"\\x"', b'"\x00"', b'"\\uD83D\\uDE00"')
TYPES = (b"null", b"true", b"0", b"1.5", b'""', b'"text"', b"[]", b"{}", b"[[]]", b'[""]', b'{"":null}')
DEPTHS = (10, 101, 1_000, 20_000)
LENGTHS = (300, 5_000, 70_000)
LENGTHS_RARE = (501_000, 1_100_000)
RARE = 1 / 400
"""How often a body is very large: those take a thousand times as long as others."""


def flipped(_value: Any, data: bytes, chance: Random) -> bytes:
    out = bytearray(data or b"{}")
    for _ in range(chance.choice((1, 1, 2, 8))):
        out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    return bytes(out)


def truncated(_value: Any, data: bytes, chance: Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def spliced(_value: Any, data: bytes, chance: Random) -> bytes:
    """A piece of it again, at another place."""
    start, place = chance.randrange(len(data) + 1), chance.randrange(len(data) + 1)
    piece = data[start : start + chance.randint(1, 20)]
    return data[:place] + piece + data[place:]


def littered(_value: Any, data: bytes, chance: Random) -> bytes:
    place = chance.randrange(len(data) + 1)
    return (
        data[:place]
        + chance.choice((b"\x00", b"\xff\xfe", b"\xc0\x80", b"\xef\xbb\xbf", b"\xf4\x90\x80\x80", b"\r\n", b"\x1b[2J"))
        + data[place:]
    )


def emptied(_value: Any, _data: bytes, chance: Random) -> bytes:
    return chance.choice((b"", b" ", b"\n", b"null", b"[]", b'""', b"{}", b"0", b"{", b"\x00"))


def without_field(value: Any, data: bytes, chance: Random) -> bytes:
    where = _place(value, chance)
    return data if where is None else _encoded(_without(value, where))


def renamed_field(value: Any, data: bytes, chance: Random) -> bytes:
    names = [key for key in value if isinstance(key, str)] if isinstance(value, dict) else []
    if not names:
        return data
    name = chance.choice(names)
    other = chance.choice((name.upper(), f"{name} ", f"{name}\u0000", "", "__proto__", "agent", "unknown"))
    return _encoded({other if key == name else key: item for key, item in value.items()})


def doubled_field(value: Any, data: bytes, chance: Random) -> bytes:
    """A second value under a key that is there: JSON leaves open which one counts."""
    if not isinstance(value, dict) or not value:
        return data
    key = chance.choice(list(value))
    return data[:-1] + b"," + msgspec.json.encode(key) + b":" + chance.choice(TYPES) + b"}"


def wrong_type(value: Any, data: bytes, chance: Random) -> bytes:
    return _with(value, data, chance.choice(TYPES), chance)


def absurd_number(value: Any, data: bytes, chance: Random) -> bytes:
    return _with(value, data, chance.choice(NUMBERS), chance)


def absurd_text(value: Any, data: bytes, chance: Random) -> bytes:
    return _with(value, data, chance.choice(TEXTS), chance)


def nested(value: Any, data: bytes, chance: Random) -> bytes:
    depth = chance.choice(DEPTHS)
    opening, closing = chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return _with(value, data, opening * depth + b"0" + closing * depth, chance)


def long(value: Any, data: bytes, chance: Random) -> bytes:
    length = chance.choice(LENGTHS_RARE if chance.random() < RARE else LENGTHS)
    piece = chance.choice((b'"%s"' % (b"x" * length), b'"%s"' % ("漢".encode() * (length // 3)), b"[" + b"1," * (length // 2) + b"1]"))
    return _with(value, data, piece, chance)


MUTATIONS: tuple[Mutation, ...] = (
    flipped,
    truncated,
    spliced,
    littered,
    emptied,
    without_field,
    renamed_field,
    doubled_field,
    wrong_type,
    absurd_number,
    absurd_text,
    nested,
    long,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from _places(item, (*path, key))


def _place(value: Any, chance: Random) -> tuple[Any, ...] | None:
    places = list(_places(value))
    return chance.choice(places) if places else None


def _changed(value: Any, path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    """A copy of `value` in which `change` was done to the container that `path` ends in."""
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1:
        change(copy, path[0])
    else:
        copy[path[0]] = _changed(copy[path[0]], path[1:], change)
    return copy


def _without(value: Any, path: tuple[Any, ...]) -> Any:
    return _changed(value, path, lambda container, key: container.pop(key))


def _with(value: Any, data: bytes, piece: bytes, chance: Random) -> bytes:
    """The value with raw bytes at one of its places; as a field of its own where it has none."""
    path = _place(value, chance)
    if path is None:
        return b'{"unknown":' + piece + b"}" if data in {b"", b"{}"} else piece
    return _encoded(_changed(value, path, lambda container, key: container.__setitem__(key, HOLE))).replace(
        msgspec.json.encode(HOLE), piece
    )


def _encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)
