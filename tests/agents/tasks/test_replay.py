"""A recorded log judged again with other weights."""

from collections.abc import Mapping

from agents.relevance import similarity
from agents.tasks import matching
from agents.tasks.matching import Candidate, Weights
from agents.tasks.replay import Report, replay
from agents.tasks.success import Expected
from schemas.entry import Entry
from schemas.members import Profile
from schemas.tasks import Finished, Score, Submission
from tests.agents.tasks.story import Story

USUAL = Weights(skill=0.35, similarity=0.2, success=0.2, load=0.15, affect=0.1)
SUCCESS_ONLY = Weights(skill=0.0, similarity=0.0, success=1.0, load=0.0, affect=0.0)
DAY_S = 86_400.0
PROVEN, UNPROVEN = Expected(successes=30), Expected(failures=30)


def scores(**agents: tuple[float, Expected]) -> list[Score]:
    """Of agents by their load and what is expected of them, as the mesh would have recorded it."""
    candidates = [
        Candidate(agent=name, profile=Profile(skills=["debugging"], load=load), success=lambda *_, e=expected: e)  # type: ignore[misc]
        for name, (load, expected) in agents.items()
    ]
    choice = matching.choose(Submission(title="Fix it", required_skills=["debugging"]), candidates, frozenset(), USUAL, similarity)
    assert choice is not None
    return choice.scores


BUSY_MASTER = scores(nexus=(0.0, UNPROVEN), aria=(1.0, PROVEN))
"""nexus is idle and bad at it, aria is busy and good at it. By the usual weights aria has it, by load alone nexus would."""
LOAD_ONLY = Weights(skill=0.0, similarity=0.0, success=0.0, load=1.0, affect=0.0)


def told(entries: list[Entry], weights: Weights) -> Report:
    return replay(entries, weights, DAY_S)


def one(agent: str, found: list[Score], **fields: str) -> Story:
    story = Story(required_skills=["debugging"])
    story.submitted()
    story.assigned(agent, 1, scores=found, **fields)
    return story


class TestChoice:
    def test_with_the_weights_of_the_recording_nothing_differs(self) -> None:
        report = told(one(BUSY_MASTER[0].agent, BUSY_MASTER).entries, USUAL)
        (judged,) = report.judged
        assert not judged.differs
        assert judged.was.recorded == judged.was.changed == BUSY_MASTER[0].score

    def test_with_others_it_tells_who_would_have_had_it_with_both_scores(self) -> None:
        (judged,) = told(one("aria", BUSY_MASTER).entries, LOAD_ONLY).different
        assert (judged.was.agent, judged.would.agent) == ("aria", "nexus")
        recorded: Mapping[str, float] = {s.agent: s.score for s in BUSY_MASTER}
        assert (judged.was.recorded, judged.was.changed) == (recorded["aria"], 0.0)
        assert (judged.would.recorded, judged.would.changed) == (recorded["nexus"], 1.0)

    def test_who_had_tried_it_still_comes_last(self) -> None:
        story = Story(required_skills=["debugging"])
        story.submitted()
        story.assigned("nexus", 1)
        story.failure("nexus", 1)
        story.assigned("aria", 2, scores=BUSY_MASTER)
        report = told(story.entries, LOAD_ONLY)
        assert report.different == []
        assert report.unscored == 1

    def test_an_assignment_that_did_not_count_is_none(self) -> None:
        story = one("aria", BUSY_MASTER)
        story.assigned("nexus", 7, scores=BUSY_MASTER)
        assert [j.fence for j in told(story.entries, USUAL).judged] == [1]


class TestOutcome:
    def test_what_came_of_it_is_told(self) -> None:
        story = one("aria", BUSY_MASTER)
        story.failure("aria", 1)
        story.assigned("nexus", 2, scores=BUSY_MASTER)
        story.result("nexus", 2)
        story.finished(Finished(status="succeeded"))
        assert [j.succeeded for j in told(story.entries, USUAL).judged] == [False, True]

    def test_a_lease_that_was_lost_came_to_nothing(self) -> None:
        story = one("aria", BUSY_MASTER)
        story.assigned("nexus", 2, scores=BUSY_MASTER)
        assert [j.succeeded for j in told(story.entries, USUAL).judged] == [None, None]

    def test_what_is_expected_is_what_the_whole_log_says(self) -> None:
        story = one("aria", BUSY_MASTER)
        story.result("aria", 1)
        report = told(story.entries, LOAD_ONLY)
        assert round(report.expected("was"), 2) == 0.67
        assert report.expected("would") == 0.5


def test_a_log_without_tasks_is_judged_as_well() -> None:
    assert told([], SUCCESS_ONLY) == Report([], 0)
