"""A message in plain words as work."""

import pytest

from agents.profiles import load
from agents.skills import SKILLS
from agents.skills.messages import heard_by, understand
from agents.skills.skill import SkillError

TRACEBACK = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\nValueError: bad\n'


def understood(agent: str, *parts: dict[str, object]) -> tuple[str, object]:
    profile = load("")[agent]
    skill, given = understand([SKILLS[s] for s in profile.primary_functions], profile.default_skill, list(parts))
    return skill.name, given


class TestUnderstanding:
    def test_a_traceback_is_for_debugging(self) -> None:
        name, given = understood("nexus", {"text": f"Help!\n{TRACEBACK}"})
        assert (name, "ValueError" in given.traceback) == ("debugging", True)  # type: ignore[attr-defined]

    def test_words_about_the_infrastructure_are_for_it(self) -> None:
        assert understood("nexus", {"text": "How are the streams?"})[0] == "infrastructure_management"

    def test_a_question_is_for_what_is_remembered(self) -> None:
        name, given = understood("aria", {"text": "Who broke the build?"})
        assert (name, given.question) == ("knowledge_synthesis", "Who broke the build?")  # type: ignore[attr-defined]

    @pytest.mark.parametrize("part", [{"data": {"tasks": []}}, {"text": '{"tasks": []}'}])
    def test_a_json_object_is_for_the_skill_that_knows_its_fields(self, part: dict[str, object]) -> None:
        assert understood("ricardo", part) == ("strategic_planning", {"tasks": []})

    def test_code_is_for_who_would_need_a_language_model(self) -> None:
        assert understood("nexus", {"text": "Write program code"})[0] == "code_generation"

    def test_else_it_says_what_it_could_understand(self) -> None:
        with pytest.raises(SkillError) as raised:
            understood("ricardo", {"text": "Hello"})
        assert raised.value.code == "not_understood"
        assert "priority_setting, strategic_planning" in str(raised.value)


class TestOneSkill:
    def test_hears_its_own_words(self) -> None:
        assert heard_by(SKILLS["knowledge_synthesis"], [{"text": "Why?"}]).question == "Why?"

    def test_takes_json_as_its_input_whatever_it_holds(self) -> None:
        assert heard_by(SKILLS["debugging"], [{"data": {"traceback": 5}}]) == {"traceback": 5}

    @pytest.mark.parametrize(("skill", "words"), [("debugging", "a Python traceback, or its input"), ("priority_setting", "its input as")])
    def test_says_what_it_wants(self, skill: str, words: str) -> None:
        with pytest.raises(SkillError, match=words):
            heard_by(SKILLS[skill], [{"text": "Hello"}])
