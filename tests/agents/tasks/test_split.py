"""Tasks whose required skills no one agent has."""

from typing import Any

import msgspec

from agents.tasks import split
from agents.tasks.graph import Start, child_id, due
from schemas.members import Profile, Skill
from schemas.tasks import Submission
from tests.agents.tasks.story import Story, at


class Question(msgspec.Struct):
    question: str
    limit: int = 10


class Trace(msgspec.Struct):
    traceback: str


def skill(name: str, body: Any) -> Skill:
    return Skill(name=name, input_schema=msgspec.json.schema(body))


LISTED = {
    "nexus": Profile(skills=[skill("debugging", Trace), "x"]),
    "aria": Profile(skills=[skill("synthesis", Question), "x"]),
    "ops": Profile(skills=["deploy"]),
}


def task(*required: str, **given: Any) -> Submission:
    return Submission(title="Mend it", required_skills=list(required), input=given, domain="web")


def dependencies(t: Submission) -> dict[str, list[str]]:
    return {part.id: part.depends_on for part in split.parts(t, LISTED)}


class TestScattered:
    def test_skills_that_are_there_but_not_in_one_agent_are(self) -> None:
        assert split.scattered(task("debugging", "synthesis"), LISTED)

    def test_skills_in_one_agent_are_not(self) -> None:
        assert not split.scattered(task("debugging", "x"), LISTED)
        assert not split.scattered(task("debugging"), LISTED)
        assert not split.scattered(task(), LISTED)

    def test_skills_that_nobody_has_are_not(self) -> None:
        assert not split.scattered(task("debugging", "juggling"), LISTED)

    def test_a_task_for_one_agent_is_not(self) -> None:
        t = msgspec.structs.replace(task("debugging", "synthesis"), agent="nexus")
        assert not split.scattered(t, LISTED)

    def test_it_says_who_has_what(self) -> None:
        assert "debugging: nexus; synthesis: aria" in split.reason(task("debugging", "synthesis"), LISTED)


class TestParts:
    def test_each_skill_is_one(self) -> None:
        first, second = split.parts(task("debugging", "deploy", "debugging", traceback="KeyError"), LISTED)
        assert (first.id, first.title, first.required_skills, first.domain) == ("debugging", "Mend it: debugging", ["debugging"], "web")
        assert (second.id, second.required_skills) == ("deploy", ["deploy"])

    def test_they_work_at_the_same_time_where_each_has_what_it_needs(self) -> None:
        assert dependencies(task("debugging", "synthesis", traceback="KeyError", question="why")) == {"debugging": [], "synthesis": []}

    def test_one_that_lacks_something_waits_for_those_before_it(self) -> None:
        assert dependencies(task("debugging", "deploy", "synthesis", traceback="KeyError")) == {
            "debugging": [],
            "deploy": [],
            "synthesis": ["debugging", "deploy"],
        }

    def test_a_skill_of_which_nothing_is_announced_lacks_nothing(self) -> None:
        assert split.lacking("deploy", {}, list(LISTED.values())) == []
        assert split.lacking("odd", {}, [Profile(skills=[Skill(name="odd", input_schema={"required": 7, "$ref": "#/none"})])]) == []

    def test_the_order_in_which_agents_are_listed_does_not_matter(self) -> None:
        t = task("debugging", "synthesis", "deploy")
        assert split.parts(t, LISTED) == split.parts(t, dict(reversed(LISTED.items())))


class TestInput:
    def test_what_stands_under_no_skill_is_for_all(self) -> None:
        assert split.input_of(task("a", "b", word="x"), "a") == {"word": "x"}

    def test_what_stands_under_the_name_of_a_skill_is_its_own(self) -> None:
        given = task("a", "b", word="x", a={"word": "y"}, b={"more": 1})
        assert split.input_of(given, "a") == {"word": "y"}
        assert split.input_of(given, "b") == {"word": "x", "more": 1}

    def test_a_field_that_only_sounds_like_a_skill_stays(self) -> None:
        assert split.input_of(task("a", "b", b="text"), "a") == {"b": "text"}


class TestTheWhole:
    def test_its_parts_are_submitted_with_its_domain(self) -> None:
        story = Story("whole", required_skills=["a", "b"], domain="web")
        story.submitted()
        verdict = due(story.split("a", "b"), {}, at(2))
        assert isinstance(verdict, Start)
        assert {ident: child.required_skills for ident, child in verdict.children.items()} == {
            child_id("whole", "a"): ["a"],
            child_id("whole", "b"): ["b"],
        }
        assert {child.domain for child in verdict.children.values()} == {"web"}
