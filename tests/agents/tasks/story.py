"""A task's entries as the log would hold them, told step by step."""

from datetime import UTC, datetime, timedelta
from typing import Any

from agents.tasks import rules
from agents.tasks.rules import TaskState
from bus import subjects
from bus.subjects import Subject
from schemas.entry import Entry
from schemas.tasks import (
    AssignedTask,
    Assignment,
    Cancel,
    Failure,
    Finished,
    Progress,
    Result,
    Split,
    Submission,
    Subtask,
    TaskError,
)

START = datetime(2026, 11, 22, 10, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def everyone_lives(agent: str, instance: str | None) -> bool:
    return True


def nobody_lives(agent: str, instance: str | None) -> bool:
    return False


class Story:
    """Each method appends one entry, one second after the last unless told, and returns the state that follows."""

    def __init__(self, task_id: str = "t1", **fields: Any) -> None:
        self.task_id = task_id
        self.task = Submission(**{"title": "Fix the login", **fields})
        self.entries: list[Entry] = []
        self.state: TaskState | None = None

    def entry(self, row: Subject, body: Any, agent: str | None = None, time: datetime | None = None) -> Entry:
        tokens = {"task": self.task_id} | ({"agent": agent} if agent else {})
        seq = len(self.entries) + 1
        return Entry(
            seq=seq, time=time or at(seq - 1), event_id=f"e{seq}", subject=row.subject(**tokens), name=row.name, tokens=tokens, body=body
        )

    def tell(self, row: Subject, body: Any, agent: str | None = None, time: datetime | None = None) -> TaskState:
        self.entries.append(self.entry(row, body, agent, time))
        self.state = rules.apply(self.state, self.entries[-1])
        assert self.state is not None
        return self.state

    def submitted(self) -> TaskState:
        return self.tell(subjects.TASK_SUBMITTED, self.task)

    def assigned(self, agent: str, fence: int, lease_s: float = 10.0, skill: str | None = "debugging", **fields: Any) -> TaskState:
        task = AssignedTask(title=self.task.title, task_id=self.task_id)
        return self.tell(subjects.TASK_ASSIGNED, Assignment(fence=fence, lease_s=lease_s, task=task, skill=skill, **fields), agent)

    def split(self, *skills: str) -> TaskState:
        parts = [Subtask(id=s, title=s, required_skills=[s]) for s in skills]
        return self.tell(subjects.TASK_SPLIT, Split(subtasks=parts))

    def progress(self, agent: str, fence: int, fraction: float | None = None, instance: str | None = None) -> TaskState:
        return self.tell(subjects.TASK_PROGRESS, Progress(fence=fence, fraction=fraction, instance=instance), agent)

    def result(self, agent: str, fence: int, output: Any = "done") -> TaskState:
        return self.tell(subjects.TASK_RESULT, Result(fence=fence, output=output), agent)

    def failure(self, agent: str, fence: int, *, retryable: bool = True, code: str = "skill_error") -> TaskState:
        return self.tell(subjects.TASK_FAILED, Failure(fence=fence, error=TaskError(code=code, retryable=retryable)), agent)

    def cancel(self, agent: str = "gateway", reason: str | None = None) -> TaskState:
        return self.tell(subjects.TASK_CANCEL, Cancel(reason=reason), agent)

    def finished(self, end: Finished) -> TaskState:
        return self.tell(subjects.TASK_FINISHED, end)
