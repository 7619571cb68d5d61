"""The skills of the specification."""

import msgspec
import pytest

from agents import profiles
from agents.skills import SKILLS
from agents.skills.skill import SkillError
from agents.tasks.worker import read_input


class TestRegistry:
    def test_all_fifteen_are_there(self) -> None:
        assert len(SKILLS) == 15
        assert {name for profile in profiles.load("").values() for name in profile.primary_functions} == set(SKILLS)

    def test_each_describes_itself_and_what_it_takes(self) -> None:
        for skill in SKILLS.values():
            assert skill.description
            assert msgspec.json.schema(skill.input)
            assert msgspec.json.schema(skill.output)

    def test_two_of_them_need_a_language_model(self) -> None:
        assert {name for name, skill in SKILLS.items() if skill.needs_language_model} == {"code_generation", "architecture_design"}

    def test_bad_input_names_its_path(self) -> None:
        with pytest.raises(SkillError, match=r"\$\.tasks\[1\]\.estimate") as e:
            read_input(SKILLS["strategic_planning"], {"tasks": [{"id": "a", "estimate": 1}, {"id": "b", "estimate": "long"}]})
        assert e.value.code == "bad_input"

    def test_what_dependencies_bring_is_no_bad_input(self) -> None:
        read_input(SKILLS["debugging"], {"traceback": "KeyError: 1", "dependencies": {"a": 1}})
