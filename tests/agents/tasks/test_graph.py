"""Composite tasks."""

from typing import Any

from agents.tasks import graph
from agents.tasks.graph import Start, child_id
from agents.tasks.rules import Finish, TaskState
from schemas.tasks import Finished, Subtask, TaskError
from tests.agents.tasks.story import Story, at

DIAMOND = [
    Subtask(id="a", title="A", input={"x": 1}),
    Subtask(id="b", title="B", depends_on=["a"]),
    Subtask(id="c", title="C", depends_on=["a"], required_skills=["debugging"]),
    Subtask(id="d", title="D", depends_on=["b", "c"]),
]


def parent(**fields: Any) -> TaskState:
    return Story("whole", subtasks=DIAMOND, priority=7, timeout_s=100, **fields).submitted()


def ended(sub: str, end: Finished) -> TaskState:
    story = Story(child_id("whole", sub), parent="whole")
    story.submitted()
    return story.finished(end)


def done(sub: str) -> TaskState:
    return ended(sub, Finished(status="succeeded", agent="nexus", output=f"out {sub}"))


def started(children: dict[str, TaskState]) -> dict[str, Any]:
    verdict = graph.due(parent(), children, at(40))
    assert isinstance(verdict, Start)
    return verdict.children


class TestSubtasks:
    def test_those_without_dependencies_start_first(self) -> None:
        children = started({})
        assert list(children) == [child_id("whole", "a")]
        child = children[child_id("whole", "a")]
        assert (child.parent, child.priority, child.timeout_s, child.input) == ("whole", 7, 60.0, {"x": 1})

    def test_the_others_once_all_they_depend_on_have_succeeded(self) -> None:
        children = started({"a": done("a")})
        assert list(children) == [child_id("whole", "b"), child_id("whole", "c")]
        assert children[child_id("whole", "c")].required_skills == ["debugging"]
        assert graph.due(parent(), {"a": done("a"), "b": done("b"), "c": Story(child_id("whole", "c")).submitted()}, at(1)) is None

    def test_they_find_the_outputs_in_their_input(self) -> None:
        children = started({s: done(s) for s in "abc"})
        assert children[child_id("whole", "d")].input == {"dependencies": {"b": "out b", "c": "out c"}}

    def test_all_outputs_make_the_whole(self) -> None:
        verdict = graph.due(parent(), {s: done(s) for s in "dcba"}, at(40))
        output = {s: f"out {s}" for s in "abcd"}
        assert verdict == Finish(Finished(status="succeeded", output=output))

    def test_one_that_fails_ends_it_with_its_error(self) -> None:
        bad = ended("b", Finished(status="failed", agent="aria", error=TaskError(code="skill_error", message="oh")))
        verdict = graph.due(parent(), {"a": done("a"), "b": bad}, at(40))
        assert verdict == Finish(Finished(status="failed", agent="aria", error=TaskError(code="skill_error", message="subtask b: oh")))

    def test_its_own_time_to_live_ends_it(self) -> None:
        verdict = graph.due(parent(), {"a": done("a")}, at(100))
        assert isinstance(verdict, Finish)
        assert verdict.end.status == "expired"

    def test_a_cancel_ends_it(self) -> None:
        story = Story("whole", subtasks=DIAMOND)
        story.submitted()
        verdict = graph.due(story.cancel(), {}, at(2))
        assert isinstance(verdict, Finish)
        assert verdict.end.status == "cancelled"

    def test_open_ones_are_cancelled_when_it_has_ended(self) -> None:
        story = Story("whole", subtasks=DIAMOND)
        child = Story("part").submitted()
        assert graph.orphaned(child, story.submitted()) is None
        verdict = graph.orphaned(child, story.finished(Finished(status="expired")))
        assert verdict is not None
        assert verdict.end.status == "cancelled"

    def test_one_whose_result_stands_keeps_it_when_the_whole_has_ended(self) -> None:
        story, child = Story("whole", subtasks=DIAMOND), Story("part")
        story.submitted()
        child.submitted()
        child.assigned("nexus", 1)
        assert graph.orphaned(child.result("nexus", 1), story.finished(Finished(status="expired"))) is None

    def test_a_task_that_only_names_it_is_not_one_of_them(self) -> None:
        assert graph.is_child(child_id("whole", "a"), parent())
        assert not graph.is_child("stranger", parent())

    def test_it_is_never_assigned(self) -> None:
        story = Story("whole", subtasks=DIAMOND)
        story.submitted()
        assert story.assigned("nexus", 1).status == "submitted"
