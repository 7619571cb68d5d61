"""Who holds a task, as the log says."""

from typing import Any

import pytest

from bus import subjects
from memory.episode_row import EpisodeRow
from memory.open_tasks import TaskRow, apply
from schemas.tasks import AssignedTask, Assignment, Cancel, Failure, Finished, Progress, Result, Split, Submission, Subtask, TaskError
from tests.memory.logged import logged


def submitted(seq: int = 1, timeout_s: float = 60.0) -> EpisodeRow:
    return logged(seq, subjects.TASK_SUBMITTED, Submission(title="t", timeout_s=timeout_s), task="t1")


def assigned(seq: int, agent: str, fence: int) -> EpisodeRow:
    body = Assignment(fence=fence, lease_s=1, task=AssignedTask(title="t", task_id="t1"))
    return logged(seq, subjects.TASK_ASSIGNED, body, task="t1", agent=agent)


def result(seq: int, agent: str, fence: int) -> EpisodeRow:
    return logged(seq, subjects.TASK_RESULT, Result(fence=fence), task="t1", agent=agent)


def failed(seq: int, agent: str, fence: int, *, retryable: bool) -> EpisodeRow:
    error = TaskError(code="c", retryable=retryable)
    return logged(seq, subjects.TASK_FAILED, Failure(fence=fence, error=error), task="t1", agent=agent)


def cancelled(seq: int) -> EpisodeRow:
    return logged(seq, subjects.TASK_CANCEL, Cancel(), task="t1", agent="ops")


def finished(seq: int, status: Any = "expired") -> EpisodeRow:
    return logged(seq, subjects.TASK_FINISHED, Finished(status=status), task="t1")


def progress(seq: int, agent: str, fence: int) -> EpisodeRow:
    return logged(seq, subjects.TASK_PROGRESS, Progress(fence=fence), task="t1", agent=agent)


def fold(*rows: EpisodeRow) -> TaskRow | None:
    task = None
    for row in rows:
        task = apply(task, row)
    return task


def holder(*rows: EpisodeRow) -> str | None:
    task = fold(*rows)
    assert task is not None
    return task.agent_id


class TestWhoHoldsIt:
    def test_nobody_before_it_is_assigned(self) -> None:
        assert holder(submitted()) is None

    def test_who_was_assigned(self) -> None:
        assert holder(submitted(), assigned(2, "aria", 1), progress(3, "aria", 1)) == "aria"

    def test_who_was_assigned_last(self) -> None:
        task = fold(submitted(), assigned(2, "aria", 1), assigned(3, "nexus", 2))
        assert task is not None
        assert (task.agent_id, task.fence, task.assigned_seq) == ("nexus", 2, 3)

    def test_an_assignment_whose_fence_does_not_follow_changes_nothing(self) -> None:
        assert holder(submitted(), assigned(2, "aria", 1), assigned(3, "nexus", 1), assigned(4, "nexus", 3)) == "aria"

    @pytest.mark.parametrize(
        "end",
        [result(3, "aria", 1), failed(3, "aria", 1, retryable=False), failed(3, "aria", 1, retryable=True), cancelled(3), finished(3)],
    )
    def test_nobody_after_its_outcome(self, end: EpisodeRow) -> None:
        assert holder(submitted(), assigned(2, "aria", 1), end) is None

    def test_nobody_after_it_was_split(self) -> None:
        split = logged(3, subjects.TASK_SPLIT, Split(subtasks=[Subtask(id="a", title="A")]), task="t1")
        assert holder(submitted(), assigned(2, "aria", 1), split) is None

    def test_a_failure_that_may_be_tried_again_leaves_it_to_the_next(self) -> None:
        assert holder(submitted(), assigned(2, "aria", 1), failed(3, "aria", 1, retryable=True), assigned(4, "nexus", 2)) == "nexus"

    @pytest.mark.parametrize("late", [result(4, "aria", 1), failed(4, "aria", 1, retryable=True), result(4, "mallory", 2)])
    def test_words_under_another_fence_or_of_another_agent_change_nothing(self, late: EpisodeRow) -> None:
        assert holder(submitted(), assigned(2, "aria", 1), assigned(3, "nexus", 2), late) == "nexus"

    @pytest.mark.parametrize("late", [assigned(4, "nexus", 2), submitted(4)])
    def test_nothing_begins_again_after_the_end(self, late: EpisodeRow) -> None:
        assert holder(submitted(), assigned(2, "aria", 1), finished(3), late) is None

    @pytest.mark.parametrize("late", [assigned(4, "nexus", 2), result(4, "aria", 1)])
    def test_nor_after_its_outcome(self, late: EpisodeRow) -> None:
        assert holder(submitted(), assigned(2, "aria", 1), cancelled(3), late) is None

    def test_once_finished_it_does_not_matter_what_led_to_it(self) -> None:
        """So that entries on the way can be forgotten, and the rebuilt row is the same."""
        whole = fold(submitted(), assigned(2, "aria", 1), assigned(3, "nexus", 2), result(4, "nexus", 2), finished(5, "succeeded"))
        assert whole == fold(submitted(), finished(5, "succeeded"))

    def test_of_what_was_never_submitted_nothing_is_known(self) -> None:
        assert fold(assigned(1, "aria", 1), finished(2)) is None

    def test_the_first_submission_is_the_one(self) -> None:
        task = fold(submitted(1), submitted(2, timeout_s=5.0))
        assert task is not None
        assert (task.submission, task.submitted_seq) == ("event-1", 1)
        assert (task.expires_at - submitted().recorded_at).total_seconds() == 60
