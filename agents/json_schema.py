"""JSON Schema (draft 2020-12), those of its keywords that assert something about the value alone.

A keyword that is not known is an error where what is not checked must not count as fulfilled; else it says nothing, as the draft has
it. `format`, `title` and the like never say anything.
"""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import msgspec

from agents.json_value import canonical, has_type, is_number, shown

EVALUATIONS_MAX = 50_000
"""Most schemas that are applied to values in one check."""
DEPTH_MAX = 100
"""Most schemas within schemas, references counted."""

Found = Callable[[str, str], bool]
"""Whether a pattern is found in a text."""


Plain = Callable[[Any, Any], str]
"""From what a keyword wants and the value to what is wrong, or nothing."""


class SchemaError(Exception):
    """The schema cannot be used; the message says why."""


class Fault(msgspec.Struct, frozen=True):
    """What is wrong, and where: a JSON pointer."""

    path: str
    message: str


def faults(schema: Any, value: Any, found: Found, *, known_only: bool = True) -> list[Fault]:
    """Everything about the value that the schema does not allow. Raises `SchemaError`.

    `known_only`: a keyword that is not known is an error; else it is passed over.
    """
    return list(_Evaluation(schema, found, known_only=known_only).check(schema, value, "", 0))


def resolved(root: Any, reference: str) -> Any:
    """The schema that `reference` means within `root`. Raises `SchemaError` for one that leads out of it or to nothing."""
    if not reference.startswith("#"):
        raise SchemaError(f"`{reference}` is no reference within the schema")
    schema = root
    try:
        for part in reference[1:].split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            schema = schema[int(name)] if isinstance(schema, list) else schema[name]
    except (KeyError, IndexError, ValueError, TypeError) as e:
        raise SchemaError(f"`{reference}` leads to nothing") from e
    return schema


class _Evaluation:
    def __init__(self, root: Any, found: Found, *, known_only: bool) -> None:
        self._root = root
        self._found = found
        self._known_only = known_only
        self._done = 0

    def check(self, schema: Any, value: Any, path: str, level: int) -> Iterator[Fault]:
        """What in `value` is not as the schema says. Raises `SchemaError` where it is no schema, or has no end."""
        self._done += 1
        if self._done > EVALUATIONS_MAX or level > DEPTH_MAX:
            raise SchemaError("the schema takes too many steps on this value, or refers to itself for ever")
        if schema is False:
            yield Fault(path, "nothing is allowed here")
        elif isinstance(schema, dict):
            for keyword, wanted in schema.items():
                yield from self._keyword(keyword, wanted, schema, value, path, level)
        elif schema is not True:
            raise SchemaError(f"a schema is an object, true or false, and not {shown(schema)}")

    def _keyword(self, keyword: str, wanted: Any, schema: Any, value: Any, path: str, level: int) -> Iterator[Fault]:
        try:
            if keyword in PLAIN:
                if message := PLAIN[keyword](wanted, value):
                    yield Fault(path, message)
            elif keyword in APPLIED:
                yield from APPLIED[keyword](self, wanted, schema, value, path, level + 1)
            elif self._known_only and keyword not in SILENT:
                raise SchemaError(f"the keyword `{keyword}` is not known here")
        except (TypeError, ValueError, AttributeError, KeyError, ZeroDivisionError) as e:
            raise SchemaError(f"`{keyword}` cannot be {shown(wanted)}") from e

    def ok(self, schema: Any, value: Any, path: str, level: int) -> bool:
        return not list(self.check(schema, value, path, level))

    # What applies other schemas

    def properties(self, wanted: Any, _: Any, value: Any, path: str, level: int) -> Iterator[Fault]:
        if isinstance(value, dict):
            for name, inner in wanted.items():
                if name in value:
                    yield from self.check(inner, value[name], _below(path, name), level)

    def pattern_properties(self, wanted: Any, _: Any, value: Any, path: str, level: int) -> Iterator[Fault]:
        if isinstance(value, dict):
            for pattern, inner in wanted.items():
                for name in [name for name in value if self._found(pattern, name)]:
                    yield from self.check(inner, value[name], _below(path, name), level)

    def additional_properties(self, wanted: Any, schema: Any, value: Any, path: str, level: int) -> Iterator[Fault]:
        if isinstance(value, dict):
            patterns = list(schema.get("patternProperties", {}))
            for name in [name for name in value if name not in schema.get("properties", {})]:
                if not any(self._found(pattern, name) for pattern in patterns):
                    yield from self.check(wanted, value[name], _below(path, name), level)

    def property_names(self, wanted: Any, _: Any, value: Any, path: str, level: int) -> Iterator[Fault]:
        for name in value if isinstance(value, dict) else ():
            yield from self.check(wanted, name, path, level)

    def dependent_schemas(self, wanted: Any, _: Any, value: Any, path: str, level: int) -> Iterator[Fault]:
        for name, inner in wanted.items():
            if isinstance(value, dict) and name in value:
                yield from self.check(inner, value, path, level)

    def prefix_items(self, wanted: Any, _: Any, value: Any, path: str, level: int) -> Iterator[Fault]:
        for n, inner in enumerate(wanted[: len(value)] if isinstance(value, list) else ()):
            yield from self.check(inner, value[n], _below(path, str(n)), level)

    def items(self, wanted: Any, schema: Any, value: Any, path: str, level: int) -> Iterator[Fault]:
        for n in range(len(schema.get("prefixItems", ())), len(value) if isinstance(value, list) else 0):
            yield from self.check(wanted, value[n], _below(path, str(n)), level)

    def contains(self, wanted: Any, schema: Any, value: Any, path: str, level: int) -> Iterator[Fault]:
        """`contains`, within the bounds of `minContains` and `maxContains`."""
        if not isinstance(value, list):
            return
        count = sum(self.ok(wanted, item, path, level) for item in value)
        least, most = schema.get("minContains", 1), schema.get("maxContains", len(value))
        if not least <= count <= most:
            yield Fault(path, f"{count} items are as `contains` wants them")

    def all_of(self, wanted: Any, _: Any, value: Any, path: str, level: int) -> Iterator[Fault]:
        for inner in wanted:
            yield from self.check(inner, value, path, level)

    def any_of(self, wanted: Any, _: Any, value: Any, path: str, level: int) -> Iterator[Fault]:
        if not any(self.ok(inner, value, path, level) for inner in wanted):
            yield Fault(path, f"{shown(value)} is none of what `anyOf` allows")

    def one_of(self, wanted: Any, _: Any, value: Any, path: str, level: int) -> Iterator[Fault]:
        count = sum(self.ok(inner, value, path, level) for inner in wanted)
        if count != 1:
            yield Fault(path, f"{shown(value)} is {count} of what `oneOf` allows")

    def is_not(self, wanted: Any, _: Any, value: Any, path: str, level: int) -> Iterator[Fault]:
        if self.ok(wanted, value, path, level):
            yield Fault(path, f"{shown(value)} is what `not` forbids")

    def condition(self, wanted: Any, schema: Any, value: Any, path: str, level: int) -> Iterator[Fault]:
        branch = "then" if self.ok(wanted, value, path, level) else "else"
        yield from self.check(schema.get(branch, True), value, path, level)

    def reference(self, wanted: str, _: Any, value: Any, path: str, level: int) -> Iterator[Fault]:
        yield from self.check(resolved(self._root, wanted), value, path, level)

    def pattern(self, wanted: str, _: Any, value: Any, path: str, __: int) -> Iterator[Fault]:
        if isinstance(value, str) and not self._found(wanted, value):
            yield Fault(path, f"{shown(value)} has nothing of the pattern {wanted}")


def _below(path: str, name: str) -> str:
    return f"{path}/{name.replace('~', '~0').replace('/', '~1')}"


# What stands by itself


def _type(wanted: str | Sequence[str], value: Any) -> str:
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    if unknown := [name for name in names if name not in TYPES]:
        raise ValueError(unknown)
    return "" if any(has_type(value, name) for name in names) else f"{shown(value)} is no {' or '.join(names)}"


TYPES = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})


def _limit(
    kind: Callable[[Any], bool], size: Callable[[Any], Any], within: Callable[[Any, Any], bool], word: str
) -> Callable[[Any, Any], str]:
    def check(wanted: Any, value: Any) -> str:
        if isinstance(wanted, bool) or not isinstance(wanted, int | float):
            raise TypeError(wanted)
        return "" if not kind(value) or within(size(value), wanted) else f"{shown(value)} {word} {wanted}"

    return check


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _itself(value: Any) -> Any:
    return value


def _at_least(a: Any, b: Any) -> bool:
    return bool(a >= b)


def _at_most(a: Any, b: Any) -> bool:
    return bool(a <= b)


def _multiple(a: Any, b: Any) -> bool:
    return (Fraction(str(a)) / Fraction(str(b))).denominator == 1


def _required(wanted: Sequence[str], value: Any) -> str:
    missing = [name for name in wanted if name not in value] if isinstance(value, dict) else []
    return f"without {', '.join(missing)}" if missing else ""


def _dependent(wanted: dict[str, Sequence[str]], value: Any) -> str:
    return "; ".join(filter(None, (_required(names, value) for name, names in wanted.items() if isinstance(value, dict) and name in value)))


def _unique(wanted: bool, value: Any) -> str:  # noqa: FBT001 - every keyword is given like this
    if not wanted or not isinstance(value, list):
        return ""
    return "" if len({canonical(item) for item in value}) == len(value) else "the same item stands there twice"


def _enum(wanted: Sequence[Any], value: Any) -> str:
    return "" if canonical(value) in {canonical(each) for each in wanted} else f"{shown(value)} is none of {shown(wanted)}"


PLAIN: dict[str, Plain] = {
    "type": _type,
    "enum": _enum,
    "const": lambda wanted, value: _enum([wanted], value),
    "minimum": _limit(is_number, _itself, _at_least, "is less than"),
    "maximum": _limit(is_number, _itself, _at_most, "is more than"),
    "exclusiveMinimum": _limit(is_number, _itself, lambda a, b: a > b, "is not more than"),
    "exclusiveMaximum": _limit(is_number, _itself, lambda a, b: a < b, "is not less than"),
    "multipleOf": _limit(is_number, _itself, _multiple, "is no multiple of"),
    "minLength": _limit(_is_text, len, _at_least, "is shorter than"),
    "maxLength": _limit(_is_text, len, _at_most, "is longer than"),
    "minItems": _limit(_is_list, len, _at_least, "has fewer items than"),
    "maxItems": _limit(_is_list, len, _at_most, "has more items than"),
    "minProperties": _limit(_is_object, len, _at_least, "has fewer fields than"),
    "maxProperties": _limit(_is_object, len, _at_most, "has more fields than"),
    "uniqueItems": _unique,
    "required": _required,
    "dependentRequired": _dependent,
}
APPLIED: dict[str, Callable[..., Iterator[Fault]]] = {
    "properties": _Evaluation.properties,
    "patternProperties": _Evaluation.pattern_properties,
    "additionalProperties": _Evaluation.additional_properties,
    "propertyNames": _Evaluation.property_names,
    "dependentSchemas": _Evaluation.dependent_schemas,
    "prefixItems": _Evaluation.prefix_items,
    "items": _Evaluation.items,
    "contains": _Evaluation.contains,
    "allOf": _Evaluation.all_of,
    "anyOf": _Evaluation.any_of,
    "oneOf": _Evaluation.one_of,
    "not": _Evaluation.is_not,
    "if": _Evaluation.condition,
    "$ref": _Evaluation.reference,
    "pattern": _Evaluation.pattern,
}
SILENT = frozenset(
    {
        *("then", "else", "minContains", "maxContains"),  # said together with `if` and `contains`
        *("$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "deprecated"),
        *("readOnly", "writeOnly", "format", "contentEncoding", "contentMediaType"),
    }
)
"""What says nothing of its own about the value."""
