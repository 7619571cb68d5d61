"""Composite tasks: which subtask may start, and what the whole came to. Pure."""

import uuid
from collections.abc import Mapping
from datetime import datetime

import msgspec

from agents.tasks.rules import Finish, TaskState, cancelled, expired
from schemas.tasks import Finished, Submission, Subtask, TaskError

NAMESPACE = uuid.UUID("0c1d2a5e-6f3b-5b7e-8a55-9b0f3d0c6f21")
"""Namespace of the ids of subtasks."""
TIMEOUT_S_MIN = 0.001
"""A subtask has at least this long; its parent's end cancels it anyway."""


class Start(msgspec.Struct, frozen=True):
    """These subtasks are to be submitted, each under its id."""

    children: dict[str, Submission]


def child_id(parent: str, subtask: str) -> str:
    """The task id of a subtask: the same on every replica."""
    return str(uuid.uuid5(NAMESPACE, f"{parent}\x1f{subtask}"))


def is_child(task_id: str, parent: TaskState) -> bool:
    """Whether this task is one of the parent's subtasks, not one that merely names it."""
    return any(child_id(parent.task_id, sub.id) == task_id for sub in parent.task.subtasks)


def due(parent: TaskState, children: Mapping[str, TaskState], now: datetime) -> Start | Finish | None:
    """What has to be written about a composite task now; `children` by subtask id, those submitted so far."""
    if parent.finished is not None:
        return None
    if parent.outcome is not None:
        return Finish(parent.outcome)
    if failed := _first_failed(children):
        return Finish(failed)
    outputs = {sub: c.finished.output for sub, c in children.items() if c.finished and c.finished.status == "succeeded"}
    if len(outputs) == len(parent.task.subtasks):
        return Finish(Finished(status="succeeded", output={sub.id: outputs[sub.id] for sub in parent.task.subtasks}))
    if now >= parent.deadline:
        return Finish(expired(parent.task))
    ready = [s for s in parent.task.subtasks if s.id not in children and all(d in outputs for d in s.depends_on)]
    left_s = max(TIMEOUT_S_MIN, (parent.deadline - now).total_seconds())
    return Start({child_id(parent.task_id, s.id): _submission(parent, s, outputs, left_s) for s in ready}) if ready else None


def _first_failed(children: Mapping[str, TaskState]) -> Finished | None:
    """The end of the parent because of the subtask that ended badly before all others."""
    bad = [(c.last_seq, sub, c.finished) for sub, c in children.items() if c.finished and c.finished.status != "succeeded"]
    if not bad:
        return None
    _, sub, end = min(bad, key=lambda b: b[0])
    error = end.error or TaskError(code=end.status)
    told = TaskError(code=error.code, message=f"subtask {sub}: {error.message}", retryable=error.retryable)
    return Finished(status="failed", agent=end.agent, error=told)


def _submission(parent: TaskState, sub: Subtask, outputs: Mapping[str, object], left_s: float) -> Submission:
    known = {"dependencies": {d: outputs[d] for d in sub.depends_on}} if sub.depends_on else {}
    return Submission(
        title=sub.title,
        description=sub.description,
        required_skills=sub.required_skills,
        input={**sub.input, **known},
        priority=parent.task.priority,
        timeout_s=left_s,
        parent=parent.task_id,
        domain=sub.domain or parent.task.domain,
    )


def orphaned(child: TaskState, parent: TaskState | None) -> Finish | None:
    """How an open subtask ends when its parent has. One whose outcome stands in the log ends with that, whatever became of the whole."""
    if parent is None or parent.finished is None or child.outcome is not None:
        return None
    return Finish(cancelled(f"the task it was part of, {parent.task_id}, is {parent.finished.status}"))
