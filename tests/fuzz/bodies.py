"""Good bodies, made by chance from the types of the table: whatever decodes as the type is possible, bounds first."""

import functools
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
from msgspec import inspect as shape

AGENTS = ("nexus", "aria", "ricardo", "fz-0", "fz-1", "fz-2", "fz-3")
"""Names that stand where an agent's may: ours, and some that nobody has."""
IDS_MAX = 40
"""Ids that inputs of about the same time share, so that votes meet proposals and results meet tasks."""
ITEMS_MAX = 4
"""Most items of a list by chance; mutations make longer ones."""
TRIES_MAX = 8
"""How often a body is made before only its required fields are."""
WAITS_S = (0.0, 0.01, 0.2)
"""What stands where somebody is asked to wait: a fuzzer that sleeps finds nothing."""
TIMEOUTS_S = (0.2, 0.5, 1.0)

WORDS = (
    "",
    "a",
    "deploy the cache",
    "Größe ß İ 漢字 🜁",
    "'; DROP TABLE episodes; --",
    "a\x00b",
    "\u202e\u200b\ufeff",
    "../../etc/passwd",
    "%s %d {0}",
    "$KV.presence.>",
    "\r\nNats-Msg-Id: 1\r\n",
)
OF_PATTERN: dict[str, tuple[str, ...]] = {
    r"^[a-z0-9_-]{1,63}$": (*AGENTS, "a" * 63, "-", "0"),
    r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$": ("priority_setting", "debugging", "no.such:skill", "A" * 100),
    r"^[A-Za-z0-9_-][A-Za-z0-9_.:-]{0,99}$": ("a", "b.c:d", "_" * 100),
    r"^[A-Za-z0-9_-]{1,63}$": ("a", "b", "c", "D_-"),
    r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$": (
        "00000000-0000-0000-0000-000000000000",
        "01A21d7b-c53d-76d8-a9fe-1b5b2833910e",
    ),
    r"^[^\s\x00](?:[^\x00]{0,98}[^\s\x00])?$": ("approve", "reject", "later", "漢", "x y"),
    r"^[1-9][0-9]{0,3}/[1-9][0-9]{0,3}$": ("2/3", "3/4", "1/1", "9999/9999"),
    r"^[0-9a-f]{64}$": ("0" * 64, "af" * 32),
    r"^[A-Za-z0-9_-]{1,100}$": ("a", "fz-1", "Z" * 100),
}
"""A pattern that is new in the schemas must be added here; a test says so."""
FAR = ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59")
TIMES = ("2026-11-22T10:00:00.000000Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "1969-12-31T23:59:59+14:00", *FAR)
ANYTHING: tuple[Any, ...] = (None, True, 0, -1.5e300, 2**63, "text", "a\x00b", [], {}, [1, [2, {"three": [None]}]], {"text": "x", "": 1})

NEEDED: dict[str, Any] = {
    "event": "praise",
    "electorate": ["nexus"],
    "subtasks": [{"id": "a", "title": "t"}],
    "deadline": "2027-01-01T00:00:00Z",
}
"""Fields with which the rules of a whole Struct are kept, whatever else it has."""


@functools.cache
def shape_of(body: Any) -> shape.Type:
    return shape.type_info(body)


def good(body: Any, chance: Random) -> Any:
    """A value that decodes as `body`, in plain JSON terms."""
    kind = shape_of(body)
    for _ in range(TRIES_MAX):
        value = _value(kind, chance, "")
        try:
            msgspec.convert(value, body)
        except msgspec.ValidationError:
            continue
        return value
    return _least(kind, chance)


def _least(kind: shape.Type, chance: Random) -> Any:
    """Only what is required, and what a rule of the whole Struct asks for beside that."""
    assert isinstance(kind, shape.StructType)
    value = {f.encode_name: _value(f.type, chance, f.name) for f in kind.fields if f.required}
    return value | {f.name: NEEDED[f.name] for f in kind.fields if f.name in NEEDED}


def _value(kind: shape.Type, chance: Random, name: str) -> Any:
    make = _MAKERS.get(type(kind))
    assert make is not None, f"nothing makes {kind}"
    return make(kind, chance, name)


def _struct(kind: shape.StructType, chance: Random, _name: str) -> dict[str, Any]:
    share = chance.choice((0.1, 0.5, 0.9))
    wanted = [f for f in kind.fields if f.required or f.name in _SHORT or chance.random() < share]
    return {f.encode_name: _value(f.type, chance, f.name) for f in wanted}


def _list(kind: shape.ListType, chance: Random, name: str) -> list[Any]:
    least, most = kind.min_length or 0, min(kind.max_length or ITEMS_MAX, ITEMS_MAX)
    return [_value(kind.item_type, chance, name) for _ in range(chance.randint(least, max(least, most)))]


def _dict(kind: shape.DictType, chance: Random, name: str) -> dict[str, Any]:
    keys = [chance.choice(("text", "speaker", "a", "", "ключ", "k\x00")) for _ in range(chance.randint(0, ITEMS_MAX))]
    return {key: _value(kind.value_type, chance, name) for key in keys}


def _text(kind: shape.StrType, chance: Random, name: str) -> str:
    if kind.pattern is not None:
        return chance.choice(OF_PATTERN[kind.pattern])
    if name == "deadline" and chance.random() < 0.7:
        return chance.choice(TIMES)
    if name == "id" or name.endswith(("_id", "ids", "episodes", "evidence")):
        return f"fz-{chance.randrange(IDS_MAX)}"
    least, most = kind.min_length or 0, kind.max_length or 1_000
    text = chance.choice(WORDS) if chance.random() < 0.9 else chance.choice("xé漢") * min(most, 2_000)
    return text[:most] if len(text) >= least else "x" * least


def _integer(kind: shape.IntType, chance: Random, name: str) -> int:
    if name == "pieces":
        return 1  # the others of a forged forgetting would be waited for
    low = kind.ge if kind.ge is not None else (kind.gt + 1 if kind.gt is not None else -(2**63))
    high = kind.le if kind.le is not None else (kind.lt - 1 if kind.lt is not None else 2**63 - 1)
    near = min(max(chance.choice((0, 1, 2, 3)), low), high)
    return int(near if chance.random() < 0.7 else chance.choice((low, high)))


def _number(kind: shape.FloatType, chance: Random, name: str) -> float:
    if name in _SHORT:
        return chance.choice(_SHORT[name])
    low = kind.ge if kind.ge is not None else kind.gt + 1e-9 if kind.gt is not None else -1e9
    high = kind.le if kind.le is not None else kind.lt - 1e-9 if kind.lt is not None else 1e9
    return float(chance.choice((low, high, chance.uniform(low, high))))


def _union(kind: shape.UnionType, chance: Random, name: str) -> Any:
    return _value(chance.choice(kind.types), chance, name)


_SHORT: dict[str, tuple[float, ...]] = {"wait_s": WAITS_S, "timeout_s": TIMEOUTS_S}

_MAKERS: dict[type, Callable[[Any, Random, str], Any]] = {
    shape.StructType: _struct,
    shape.ListType: _list,
    shape.DictType: _dict,
    shape.StrType: _text,
    shape.IntType: _integer,
    shape.FloatType: _number,
    shape.UnionType: _union,
    shape.Metadata: lambda kind, chance, name: _value(kind.type, chance, name),
    shape.BoolType: lambda kind, chance, name: chance.random() < 0.5,
    shape.NoneType: lambda kind, chance, name: None,
    shape.LiteralType: lambda kind, chance, name: chance.choice(kind.values),
    shape.DateTimeType: lambda kind, chance, name: chance.choice(TIMES),
    shape.AnyType: lambda kind, chance, name: chance.choice(ANYTHING),
}
