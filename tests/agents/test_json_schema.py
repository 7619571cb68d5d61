"""JSON Schema: every keyword against jsonschema, the reference in Python, and what only we refuse."""

import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.json_schema import SchemaError, faults

VALUES: list[Any] = [
    None, True, False, 0, 1, 1.0, -3, 2.5, 12, "", "a", "abc", "é", [], [1], [1, 1.0], [1, True], [1, "a", None], [[], [1]], {}, {"a": 1},
    {"a": "x", "b": 2}, {"b": [1, 2, 3]}, {"ab": 1, "c": {"a": 1}}, {"a": {"a": {"a": 1}}},
]  # fmt: skip
SCHEMAS: list[Any] = [
    True, False, {}, {"type": "integer"}, {"type": ["null", "number"]}, {"enum": [1, "a", [1]]}, {"const": 1}, {"const": True},
    {"const": {"a": 1}}, {"minimum": 1}, {"maximum": 1}, {"exclusiveMinimum": 1}, {"exclusiveMaximum": 1}, {"multipleOf": 0.5},
    {"multipleOf": 3}, {"minLength": 1}, {"maxLength": 1}, {"pattern": "b"}, {"minItems": 2}, {"maxItems": 1}, {"uniqueItems": True},
    {"uniqueItems": False}, {"minProperties": 1}, {"maxProperties": 1}, {"required": ["a"]}, {"dependentRequired": {"a": ["b"]}},
    {"dependentSchemas": {"a": {"maxProperties": 1}}}, {"properties": {"a": {"type": "string"}}}, {"properties": {"a": False}},
    {"patternProperties": {"^a": {"type": "integer"}}}, {"properties": {"a": {}}, "additionalProperties": False},
    {"patternProperties": {"a": {}}, "additionalProperties": {"type": "array"}}, {"propertyNames": {"maxLength": 1}},
    {"items": {"type": "integer"}}, {"prefixItems": [{"const": 1}], "items": {"type": "string"}}, {"prefixItems": [{}, {"const": "a"}]},
    {"contains": {"const": 1}}, {"contains": {"const": 1}, "minContains": 2}, {"contains": {"const": 1}, "maxContains": 1},
    {"contains": {"const": 9}, "minContains": 0}, {"allOf": [{"type": "number"}, {"minimum": 2}]},
    {"anyOf": [{"type": "string"}, {"minimum": 2}]}, {"oneOf": [{"type": "number"}, {"minimum": 2}]}, {"not": {"type": "object"}},
    {"if": {"type": "number"}, "then": {"minimum": 2}, "else": {"type": "string"}}, {"if": {"type": "number"}, "else": False},
    {"$ref": "#/$defs/n", "$defs": {"n": {"type": "number"}}}, {"$defs": {"a/b": {"type": "array"}}, "$ref": "#/$defs/a~1b"},
    {"type": "object", "properties": {"a": {"anyOf": [{"$ref": "#"}, {"type": "integer"}]}}}, {"title": "t", "format": "email"},
]  # fmt: skip


def found(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


def valid(schema: Any, value: Any) -> bool:
    return not faults(schema, value, found)


class TestKeywords:
    @pytest.mark.parametrize("schema", SCHEMAS, ids=str)
    def test_as_the_reference_says(self, schema: Any) -> None:
        reference = jsonschema.Draft202012Validator(schema)
        assert [valid(schema, value) for value in VALUES] == [reference.is_valid(value) for value in VALUES]

    @given(
        st.lists(st.sampled_from([s for s in SCHEMAS if isinstance(s, dict) and "$ref" not in str(s)]), min_size=1, max_size=4),
        st.recursive(st.sampled_from(VALUES), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner)),
        st.sampled_from(["allOf", "anyOf", "oneOf"]),
    )
    def test_combined_too(self, parts: list[Any], value: Any, keyword: str) -> None:
        schema = {keyword: parts, "items": parts[0], "additionalProperties": parts[-1]}
        assert valid(schema, value) == jsonschema.Draft202012Validator(schema).is_valid(value)


class TestFaults:
    def test_each_says_where(self) -> None:
        schema = {"properties": {"a/b": {"items": {"type": "integer"}}}, "required": ["c"]}
        assert [(f.path, f.message) for f in faults(schema, {"a/b": [1, "x"]}, found)] == [
            ("/a~1b/1", '"x" is no integer'), ("", "without c"),
        ]  # fmt: skip


class TestRefused:
    @pytest.mark.parametrize(
        "schema",
        [
            {"unevaluatedProperties": False}, {"minimun": 1}, {"type": "text"}, {"minimum": "1"}, {"minLength": True}, {"multipleOf": 0},
            {"properties": [1]}, {"allOf": {"a": 1}}, {"required": 1}, {"$ref": "http://elsewhere"}, {"$ref": "#/nothing"}, {"items": 5},
        ],
        ids=str,
    )  # fmt: skip
    def test_what_would_not_be_checked(self, schema: Any) -> None:
        with pytest.raises(SchemaError):
            faults({"anyOf": [schema], "items": schema}, [{"a": 1, "b": 2}, 5, "x"], found)

    def test_what_has_no_end(self) -> None:
        with pytest.raises(SchemaError, match="for ever"):
            faults({"$ref": "#"}, 1, found)
        doubling = {"$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}, "$ref": "#/$defs/d0"}
        doubling["$defs"]["d40"] = {}
        with pytest.raises(SchemaError, match="too many steps"):
            faults(doubling, 1, found)
