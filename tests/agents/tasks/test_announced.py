"""A result must be what its agent announced."""

from typing import Any

import pytest

from agents.tasks.announced import bad_output
from agents.tasks.book import Book
from bus import subjects
from schemas.members import Profile, Skill
from schemas.tasks import Result, Submission
from tests.agents.tasks.story import Story

HOSTS = {"type": "object", "properties": {"hosts": {"type": "integer"}}, "required": ["hosts"]}
ONE = Submission(title="one", required_skills=["deploy"])


def announcing(schema: dict[str, Any]) -> Profile:
    return Profile(role="r", skills=[Skill(name="deploy", output_schema=schema), "bare"])


@pytest.mark.parametrize("output", [{"hosts": "many"}, {}, None, 5])
def test_an_output_that_does_not_fit_is_refused_and_told_where(output: Any) -> None:
    error = bad_output(announcing(HOSTS), ONE, "deploy", output)
    assert error is not None
    assert (error.code, error.retryable) == ("bad_output", False)
    assert "deploy" in error.message


@pytest.mark.parametrize(
    ("profile", "skill", "output"),
    [
        (announcing(HOSTS), "deploy", {"hosts": 3}),
        (announcing({}), "deploy", "anything"),
        (announcing(HOSTS), "bare", "anything"),
        (announcing(HOSTS), None, "anything"),
        (None, "deploy", "anything"),
        (announcing({"x-of-mine": 1, "discriminator": {}}), "deploy", "unknown keywords say nothing"),
        (announcing({"pattern": "(a+)+$"}), "deploy", "a" * 100 + "b"),
    ],
)
def test_what_is_taken(profile: Profile | None, skill: str | None, output: Any) -> None:
    assert bad_output(profile, ONE, skill, output) is None


def test_several_skills_are_not_checked_by_the_schema_of_one() -> None:
    several = Submission(title="both", required_skills=["deploy", "bare"])
    assert bad_output(announcing(HOSTS), several, "deploy", {"deploy": {"hosts": 3}, "bare": 1}) is None


def played(output: Any, fence: int = 1) -> Book:
    story, book = Story(), Book(10, 86_400.0, lambda _: announcing(HOSTS))
    story.submitted()
    story.assigned("ops", 1, skill="deploy")
    story.tell(subjects.TASK_RESULT, Result(fence=fence, output=output), "ops")
    for entry in story.entries:
        book.apply(entry)
    return book


def test_the_task_has_failed_by_it_and_it_speaks_against_the_agent() -> None:
    book = played({"hosts": "many"})
    [state] = book.open.values()
    assert state.outcome is not None
    assert state.outcome.error is not None
    assert (state.outcome.status, state.outcome.error.code, state.outcome.agent) == ("failed", "bad_output", "ops")
    assert book.expected("ops", "deploy", None).failures == 1


def test_a_good_one_succeeds() -> None:
    [state] = played({"hosts": 3}).open.values()
    assert state.outcome is not None
    assert state.outcome.status == "succeeded"


def test_one_under_another_fence_changes_nothing() -> None:
    [state] = played({"hosts": "many"}, fence=7).open.values()
    assert (state.outcome, state.history[-1].ignored) == (None, "unknown fence 7")
