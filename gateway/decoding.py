"""From bytes to Structs: bodies, NDJSON batches, query strings and path parameters, each fault with its path."""

import functools
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote

import msgspec
from msgspec import inspect as shape

from bus.entries import BAD_BODY
from bus.errors import TITLES, Refused
from gateway import strict
from schemas.problem import FieldError, Problem

QUERY_FIELDS_MAX = 50
"""Most parameters of one query string."""
QUERY_BYTES_MAX = 16 * 1024
"""Longest query string."""
LINES_MAX = 100_000
"""Most lines of an NDJSON body that are looked at before the number of items is judged."""

_AT = re.compile(r"^(?P<message>.*?)\s+- at `(?P<path>[^`]*)`$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(?P<name>[^`]+)`")
_NUMBER = re.compile(r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?\Z")
_FIRST_WORD = re.compile(r"^(?P<name>[a-z_]+)\b")


def refuse(errors: list[FieldError], detail: str = "", status: int = 400) -> NoReturn:
    """Raise the problem document that names these fields."""
    detail = detail or "; ".join(f"{e.path}: {e.message}" for e in errors[:3])
    raise Refused(Problem(title=TITLES[status], status=status, detail=detail, errors=errors))


@functools.cache
def decoder(body: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(body)


def fault(error: Exception, body: Any, root: str = "$") -> FieldError:
    """What msgspec has to say, as a path and a message.

    A missing field is named itself, not the object that lacks it; a rule of a Struct's own (`__post_init__`)
    begins with the field it is about, so that field is named.
    """
    if isinstance(error, UnicodeDecodeError):
        return FieldError(path=root, message="is not UTF-8")
    if isinstance(error, RecursionError):
        return FieldError(path=root, message="is nested too deep")
    text = str(error)
    found = _AT.match(text)
    message, path = (found["message"], found["path"]) if found else (text, "$")
    if missing := _MISSING.search(message):
        path, message = f"{path}.{missing['name']}", "is required"
    elif path == "$" and (word := _FIRST_WORD.match(message)) and word["name"] in getattr(body, "__struct_fields__", ()):
        path = f"$.{word['name']}"
    return FieldError(path=root + path.removeprefix("$"), message=message)


def decode_body(raw: bytes, body: Any, root: str = "$", hidden: Collection[str] = ()) -> Any:
    """`raw` as `body`. Raises `Refused` (400) that names every unknown field, NUL character and the first wrong value."""
    if not raw.strip():
        refuse([FieldError(path=root, message="a JSON body is required")])
    try:
        value = strict.plain(raw)
    except BAD_BODY as e:
        refuse([fault(e, body, root)])
    errors = strict.unstorable(raw, value) + strict.unknown_fields(value, body, hidden)
    decoded = None
    try:
        decoded = decoder(body).decode(raw)
    except BAD_BODY as e:
        errors.append(fault(e, body))
    if errors:
        refuse([FieldError(path=root + e.path.removeprefix("$"), message=e.message) for e in errors])
    return decoded


def decode_lines(raw: bytes, item: Any, items_max: int) -> list[Any]:
    """NDJSON: one `item` a line; `$[3]` is the fourth line that is not blank. Raises `Refused` (400)."""
    lines = [line for line in raw.split(b"\n", LINES_MAX) if line.strip()]
    if len(lines) > items_max:
        refuse([FieldError(path="$", message=f"has {len(lines)} lines, at most {items_max} are taken")])
    return [decode_body(line, item, f"$[{i}]") for i, line in enumerate(lines)]


def decode_query(raw: bytes, query: Any) -> Any:
    """A query string as `query`. Unknown, repeated and malformed parameters are refused (400) by name."""
    if len(raw) > QUERY_BYTES_MAX:
        refuse([FieldError(path="$", message=f"the query string is longer than {QUERY_BYTES_MAX} bytes")])
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=QUERY_FIELDS_MAX)
    except UnicodeDecodeError:
        refuse([FieldError(path="$", message="the query string is not UTF-8")])
    except ValueError as e:
        refuse([FieldError(path="$", message=str(e))])
    return convert(_once(pairs), query, "unknown parameter")


def _once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            refuse([FieldError(path=f"$.{name}", message="is given twice")])
        values[name] = value
    return values


def convert(values: Mapping[str, str], kind: Any, unknown: str = "unknown field", status: int = 400) -> Any:
    """Texts as the Struct `kind` (numbers, times and booleans read from their text). Raises `Refused` with `status`."""
    known = kind.__struct_fields__ if kind is not None else ()
    errors = [FieldError(path=f"$.{name}", message=unknown) for name in values if name not in known]
    errors += [
        FieldError(path=f"$.{name}", message="must not contain the NUL character") for name, value in values.items() if "\x00" in value
    ]
    errors += _misread(values, kind)
    if errors:
        refuse(errors, status=status)
    if kind is None:
        return None
    try:
        return msgspec.convert(dict(values), kind, strict=False)
    except msgspec.ValidationError as e:
        refuse([fault(e, kind)], status=status)


@functools.cache
def _types(kind: Any) -> dict[str, set[type[shape.Type]]]:
    """What each field of `kind` may be."""
    found = strict.type_shape(kind) if kind is not None else None
    return {f.encode_name: set(_members(f.type)) for f in found.fields} if isinstance(found, shape.StructType) else {}


def _members(kind: shape.Type) -> Iterator[type[shape.Type]]:
    if isinstance(kind, shape.Metadata):
        yield from _members(kind.type)
    elif isinstance(kind, shape.UnionType):
        for member in kind.types:
            yield from _members(member)
    else:
        yield type(kind)


def _misread(values: Mapping[str, str], kind: Any) -> Iterator[FieldError]:
    """Texts that msgspec would take for something else: `null` for nothing, a number for seconds since 1970."""
    for name, types in _types(kind).items():
        text = values.get(name, "")
        if text.lower() == "null" and shape.NoneType in types and shape.StrType not in types:
            yield FieldError(path=f"$.{name}", message="leave it out to say nothing")
        elif shape.DateTimeType in types and _NUMBER.match(text) and not (shape.IntType in types and text.isdigit()):
            yield FieldError(path=f"$.{name}", message="must be an RFC 3339 time")


def decode_path(encoded: Mapping[str, str], kind: Any, status: int) -> Any:
    """Path parameters, percent-decoded one by one so that an id may hold any character, `/` included."""
    try:
        values = {name: unquote(value, errors="strict") for name, value in encoded.items()}
    except UnicodeDecodeError:
        refuse([FieldError(path="$", message="the path is not UTF-8")], status=status)
    return convert(values, kind, status=status)
