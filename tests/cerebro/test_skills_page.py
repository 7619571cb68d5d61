"""docs/skills.md says what the skills say."""

from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta
from msgspec import inspect as kinds

from agents.skills import SKILLS
from cerebro.skills_page import PAGE, owners, page, structs, value
from schemas.words import Time, Token, Unit


class Leaf(msgspec.Struct):
    below: "list[Leaf]" = []


class Root(msgspec.Struct):
    leaves: dict[str, Leaf | None]


class TestSkillsPage:
    def test_it_is_what_make_docs_makes(self) -> None:
        assert PAGE.read_text() == page(), "run `make docs`"

    def test_every_skill_has_its_part_and_its_owner(self) -> None:
        text = page()
        for name, skill in SKILLS.items():
            assert f"\n## {name}\n" in text
            assert owners(name) in {"aria", "nexus", "ricardo"}
            part = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
            assert ("needs_language_model" in part) == skill.needs_language_model

    def test_every_part_tells_its_method(self) -> None:
        for part in page().split("\n## ")[1:]:
            method = part.split("\n\n")[2]
            assert len(method) > 50, part.splitlines()[0]


class TestTypes:
    @pytest.mark.parametrize(
        ("kind", "told"),
        [
            (Unit, "number (≥ 0, ≤ 1)"),
            (Token | None, "text (`^[a-z0-9_-]{1,63}$`) or null"),
            (Annotated[list[str], Meta(max_length=1_000)], "list (≤ 1,000) of text"),
            (Literal["b", "a"], "`a` or `b`"),
            (dict[str, float], "object of number"),
            (Time, "time (RFC 3339)"),
            (Root, "Root"),
        ],
    )
    def test_each_in_words(self, kind: object, told: str) -> None:
        assert value(kinds.type_info(kind)) == told

    def test_a_struct_of_several_shows_how_it_is_told_from_the_others(self) -> None:
        assert "| `check` | `regex` |  |" in page()

    def test_each_struct_once_also_where_it_holds_itself(self) -> None:
        assert [s.cls for s in structs(kinds.type_info(Root))] == [Root, Leaf]
