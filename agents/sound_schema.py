"""Whether a JSON Schema that somebody announces can be used at all: every schema in it is one, every keyword has what it needs."""

import re
from collections.abc import Iterator
from typing import Any

from agents.json_schema import PLAIN, SchemaError, resolved
from agents.json_value import shown

SCHEMAS_MAX = 5_000
"""Most schemas within one schema."""
PATTERN_LEN_MAX = 2_000
"""Longest pattern, in characters."""

PROBES: tuple[Any, ...] = (None, True, 1, "a", ["a"], {"a": 1})
"""A value of each type: a keyword that cannot be applied to any of them is broken."""
ONE = ("items", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else")
"""Keywords that hold a schema."""
MANY = ("allOf", "anyOf", "oneOf", "prefixItems")
"""Keywords that hold a list of schemas."""
LISTS = ("required", "enum")
"""Keywords that hold a list of values."""
NAMED = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
"""Keywords that hold schemas by name."""


def unsound(schema: Any) -> str | None:
    """Why the schema cannot be used, with the place, or None. Nothing of it is matched against a text."""
    waiting: list[tuple[str, Any]] = [("", schema)]
    for done, (path, each) in enumerate(_taken_from(waiting)):
        if done >= SCHEMAS_MAX:
            return f"more than {SCHEMAS_MAX} schemas within one"
        if isinstance(each, bool):
            continue
        if not isinstance(each, dict):
            return f"{path or 'the whole'}: a schema is an object, true or false, and not {shown(each)}"
        try:
            _plain(each)
            _references(schema, each)
            waiting.extend((f"{path}/{below}", inner) for below, inner in _within(each))
        except SchemaError as e:
            return f"{path or 'the whole'}: {e}"
    return None


def _taken_from(waiting: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    while waiting:
        yield waiting.pop()


def _plain(schema: dict[str, Any]) -> None:
    for keyword in [keyword for keyword in schema if keyword in PLAIN]:
        wanted = schema[keyword]
        if keyword in LISTS and not isinstance(wanted, list):
            raise SchemaError(f"`{keyword}` cannot be {shown(wanted)}")
        try:
            for probe in PROBES:
                PLAIN[keyword](wanted, probe)
        except (TypeError, ValueError, AttributeError, KeyError, ZeroDivisionError) as e:
            raise SchemaError(f"`{keyword}` cannot be {shown(wanted)}") from e


def _references(root: Any, schema: dict[str, Any]) -> None:
    if "$ref" in schema:
        if not isinstance(schema["$ref"], str):
            raise SchemaError(f"`$ref` cannot be {shown(schema['$ref'])}")
        resolved(root, schema["$ref"])
    patterns = schema.get("patternProperties", {})
    for pattern in [*([schema["pattern"]] if "pattern" in schema else []), *(patterns if isinstance(patterns, dict) else ())]:
        try:
            if not isinstance(pattern, str) or len(pattern) > PATTERN_LEN_MAX:
                raise SchemaError(f"{shown(pattern)} is no pattern, or longer than {PATTERN_LEN_MAX} characters")
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as e:
            raise SchemaError(f"{shown(pattern)} is no pattern: {e}") from e


def _within(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The schemas within one, with their place. Raises `SchemaError` where something else stands in place of them."""
    for keyword, wanted in schema.items():
        if keyword in ONE:
            yield keyword, wanted
        elif keyword in MANY:
            if not isinstance(wanted, list) or not wanted:
                raise SchemaError(f"`{keyword}` needs a list of schemas, and not {shown(wanted)}")
            yield from ((f"{keyword}/{n}", inner) for n, inner in enumerate(wanted))
        elif keyword in NAMED:
            if not isinstance(wanted, dict):
                raise SchemaError(f"`{keyword}` needs schemas by name, and not {shown(wanted)}")
            yield from ((f"{keyword}/{name}", inner) for name, inner in wanted.items())
