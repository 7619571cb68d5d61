"""What msgspec lets through and the HTTP door refuses: unknown fields, NUL characters, deep nesting.

The Structs of `schemas` ignore unknown fields, as the wire must; here the same types are walked by
`msgspec.inspect`, so that the door knows every field without a second description. Values of free-form
fields (`dict[str, Any]`) are free.
"""

import functools
from collections.abc import Collection, Iterator
from typing import Any

import msgspec
from msgspec import inspect as shape

from schemas.problem import FieldError

DEPTH_MAX = 100
"""Deepest nesting of a body. Decoders differ in how deep they go (CPython's recursion limit, PostgreSQL's stack)."""
FAULTS_MAX = 20
"""Most faults told of one body."""


@functools.cache
def type_shape(body: Any) -> shape.Type:
    """The shape of a type, made once."""
    return shape.type_info(body)


def unknown_fields(value: Any, body: Any, hidden: Collection[str] = ()) -> list[FieldError]:
    """Each field of `value` that the type `body` does not have, nested ones included, or that is `hidden`."""
    found = [FieldError(path=f"$.{name}", message="unknown field") for name in hidden if isinstance(value, dict) and name in value]
    for path in _unknown(value, type_shape(body), "$"):
        found.append(FieldError(path=path, message="unknown field"))
        if len(found) == FAULTS_MAX:
            break
    return found


def _unknown(value: Any, kind: shape.Type, path: str) -> Iterator[str]:
    if isinstance(kind, shape.UnionType):
        # A union holds at most one object type and one array type (msgspec demands it), so the value tells which is meant.
        for member in kind.types:
            yield from _unknown(value, member, path)
    elif isinstance(kind, shape.StructType) and isinstance(value, dict):
        fields = {f.encode_name: f.type for f in kind.fields}
        for key, item in value.items():
            if key in fields:
                yield from _unknown(item, fields[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(kind, shape.ListType) and isinstance(value, list):
        for i, item in enumerate(value):
            yield from _unknown(item, kind.item_type, f"{path}[{i}]")
    elif isinstance(kind, shape.DictType) and isinstance(value, dict):
        for key, item in value.items():
            yield from _unknown(item, kind.value_type, f"{path}.{key}")


def unstorable(raw: bytes, value: Any) -> list[FieldError]:
    """Where `value`, decoded from `raw`, has a NUL character (PostgreSQL has no such text) or is nested too deep."""
    if rb"\u0000" not in raw and raw.count(b"[") + raw.count(b"{") <= DEPTH_MAX:
        return []  # nearly every body: nothing to walk for
    return _walk(value)


def _walk(value: Any) -> list[FieldError]:
    found: list[FieldError] = []
    waiting: list[tuple[str, Any, int]] = [("$", value, 0)]
    while waiting and len(found) < FAULTS_MAX:
        path, item, depth = waiting.pop()
        if depth > DEPTH_MAX:
            return [FieldError(path=path[:200], message=f"nested deeper than {DEPTH_MAX} levels")]
        if isinstance(item, str):
            if "\x00" in item:
                found.append(FieldError(path=path, message="must not contain the NUL character"))
        elif isinstance(item, dict):
            if any("\x00" in key for key in item):
                found.append(FieldError(path=path, message="a key must not contain the NUL character"))
            waiting += [(f"{path}.{key}", child, depth + 1) for key, child in item.items()]
        elif isinstance(item, list):
            waiting += [(f"{path}[{i}]", child, depth + 1) for i, child in enumerate(item)]
    return found


def plain(raw: bytes) -> Any:
    """`raw` as plain JSON values. Raises `msgspec.DecodeError`, `UnicodeDecodeError` or `RecursionError`."""
    return msgspec.json.decode(raw)
