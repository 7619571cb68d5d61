"""JSON values: what is equal, what type it is, what stands where, and how it is shown."""

import json
import re
from typing import Any, Literal

SHOWN_LEN_MAX = 200
"""Most characters of a value that are shown."""

JsonType = Literal["null", "boolean", "integer", "number", "string", "array", "object"]
_ENCODER = json.JSONEncoder(ensure_ascii=False)
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


class NothingThereError(Exception):
    """A pointer leads to nothing; the message says how far it leads."""


def has_type(value: Any, name: str) -> bool:
    """Whether a value is of this type of JSON Schema: 1.0 is an integer, true is no number."""
    match value:
        case None:
            return name == "null"
        case bool():
            return name == "boolean"
        case int():
            return name in {"integer", "number"}
        case float():
            return name == "number" or (name == "integer" and value.is_integer())
        case str():
            return name == "string"
        case list():
            return name == "array"
    return name == "object"


def is_number(value: Any) -> bool:
    return has_type(value, "number")


def canonical(value: Any) -> str:
    """The same text for equal values: 1 and 1.0 are, 1 and true are not, the order of fields does not count."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_plain(v) for v in value]
        case dict():
            return {k: _plain(v) for k, v in value.items()}
    return value


def at(value: Any, pointer: str) -> Any:
    """What a JSON pointer (RFC 6901) leads to; the empty one to the whole. Raises `NothingThereError`."""
    if pointer and not pointer.startswith("/"):
        raise NothingThereError(f"`{pointer}` is no JSON pointer: it begins with /")
    for n, part in enumerate(parts := pointer.split("/")[1:]):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and _INDEX.fullmatch(part) and int(part) < len(value):
            value = value[int(part)]
        else:
            raise NothingThereError(f"there is nothing at /{'/'.join(parts[: n + 1])}")
    return value


def shown(value: Any) -> str:
    """The value as JSON, its beginning where it is long; no more than that is written."""
    text = ""
    for part in _ENCODER.iterencode(value):
        text += part
        if len(text) > SHOWN_LEN_MAX:
            return f"{text[:SHOWN_LEN_MAX]}…"
    return text


def depth(value: Any) -> int:
    """How deeply it is nested; 1 for a plain value. Iterative: depth is the sender's choice."""
    deepest, ahead = 0, [(value, 1)]
    while ahead:
        found, level = ahead.pop()
        deepest = max(deepest, level)
        inner = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
        ahead += [(v, level + 1) for v in inner]
    return deepest
