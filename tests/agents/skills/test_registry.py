"""The skills of the specification."""

import msgspec
import pytest

from agents import profiles
from agents.skills import SKILLS
from agents.skills.skill import SkillError
from agents.tasks.worker import read_input

REAL = {
    "debugging", "infrastructure_management", "knowledge_synthesis", "cross_reference_analysis", "priority_setting", "strategic_planning",
    "memory_management", "pattern_recognition", "data_consolidation",
    "quality_assurance",
    "performance_optimization",
    "business_alignment",
    "final_approval",
}  # fmt: skip


class TestRegistry:
    def test_all_fifteen_are_there(self) -> None:
        assert len(SKILLS) == 15
        assert {name for profile in profiles.load("").values() for name in profile.primary_functions} == set(SKILLS)

    def test_each_describes_itself_and_what_it_takes(self) -> None:
        for skill in SKILLS.values():
            assert skill.description
            assert msgspec.json.schema(skill.input)
            assert msgspec.json.schema(skill.output)

    @pytest.mark.parametrize("name", sorted(set(SKILLS) - REAL))
    async def test_those_that_cannot_be_performed_say_why(self, name: str) -> None:
        skill = SKILLS[name]
        with pytest.raises(SkillError) as e:
            await skill.run(None, skill.input())  # type: ignore[arg-type]
        assert (e.value.code, e.value.retryable, skill.needs_language_model) == ("needs_language_model", False, True)

    def test_bad_input_names_its_path(self) -> None:
        with pytest.raises(SkillError, match=r"\$\.tasks\[1\]\.estimate") as e:
            read_input(SKILLS["strategic_planning"], {"tasks": [{"id": "a", "estimate": 1}, {"id": "b", "estimate": "long"}]})
        assert e.value.code == "bad_input"

    def test_what_dependencies_bring_is_no_bad_input(self) -> None:
        read_input(SKILLS["debugging"], {"traceback": "KeyError: 1", "dependencies": {"a": 1}})
