"""Whether an announced schema can be used."""

from typing import Any

import msgspec
import pytest

from agents.skills import SKILLS
from agents.sound_schema import SCHEMAS_MAX, unsound


@pytest.mark.parametrize("skill", SKILLS.values(), ids=list(SKILLS))
def test_those_of_the_built_in_skills_are_sound(skill: Any) -> None:
    assert (unsound(msgspec.json.schema(skill.input)), unsound(msgspec.json.schema(skill.output))) == (None, None)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        True,
        False,
        {"type": ["null", "number"]},
        {"x-of-mine": 5, "discriminator": {}},
        {"properties": {"a": {"$ref": "#"}}},
        {"pattern": "a+"},
    ],
)
def test_sound(schema: Any) -> None:
    assert unsound(schema) is None


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "objekt"}, "the whole: `type`"),
        ("string", "the whole: a schema is an object"),
        ({"properties": {"a": {"type": 5}}}, "/properties/a: `type`"),
        ({"properties": []}, "`properties` needs schemas by name"),
        ({"anyOf": {}}, "`anyOf` needs a list"),
        ({"oneOf": []}, "`oneOf` needs a list"),
        ({"items": {"minLength": "three"}}, "/items: `minLength`"),
        ({"required": "name"}, "`required`"),
        ({"$ref": "#/$defs/none"}, "leads to nothing"),
        ({"$ref": "elsewhere.json"}, "no reference within the schema"),
        ({"$ref": 5}, "`$ref` cannot be 5"),
        ({"$defs": {"a": {"pattern": "("}}}, "/$defs/a"),
        ({"patternProperties": {"(": {}}}, "no pattern"),
        ({"not": 5}, "/not: a schema is an object"),
        ({"allOf": [{}] * (SCHEMAS_MAX + 1)}, "more than"),
    ],
)
def test_broken_and_where(schema: Any, place: str) -> None:
    assert place in (unsound(schema) or "")
