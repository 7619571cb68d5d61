"""The law of one task: its state is a fold of its entries, and what is due follows from state and time alone."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from schemas.entry import Entry
from schemas.tasks import (
    Assignment,
    Cancel,
    Failure,
    Finished,
    HistoryEntry,
    InputAnswer,
    Progress,
    Result,
    Score,
    Split,
    Submission,
    TaskError,
    TaskStatus,
)
from schemas.words import rfc3339

HISTORY_LEN_MAX = 200
"""Most entries kept about one task: the first, and the newest after it."""
ATTEMPTS_MAX = 3
"""Most failures of one task before it has failed for good."""
LOST_MAX = 10
"""Most leases of one task that may end in silence before it has failed for good."""


class TaskState(msgspec.Struct, frozen=True, kw_only=True):
    """One task as the log says. `outcome` is how it must be finished, from the entry that made it so on.

    All times are the log's. `waiting`: whoever has it waits for input. `stolen`: from whom it was taken because they had not begun it.
    """

    task_id: str
    task: Submission
    submitted_seq: int
    submitted_at: datetime
    last_seq: int
    history: tuple[HistoryEntry, ...]
    status: TaskStatus = "submitted"
    agent: str | None = None
    instance: str | None = None
    skill: str | None = None
    fence: int = 0
    lease_s: float = 0.0
    lease_until: datetime | None = None
    assigned_at: datetime | None = None
    backoff_s: float = 0.0
    not_before: datetime | None = None
    scores: tuple[Score, ...] = ()
    fraction: float | None = None
    waiting: bool = False
    failures: int = 0
    losses: int = 0
    tried: frozenset[str] = frozenset()
    stolen: frozenset[str] = frozenset()
    error: TaskError | None = None
    outcome: Finished | None = None
    finished: Finished | None = None
    finished_at: datetime | None = None

    @property
    def held(self) -> bool:
        """Whether somebody has it and may still bring it to its end."""
        return self.status in {"assigned", "running"} and self.outcome is None and not self.composite

    @property
    def avoided(self) -> frozenset[str]:
        """Who should not have it next if others can: who failed or lost it, whoever is losing it now included."""
        return self.tried | {self.agent} if self.held and self.agent else self.tried

    @property
    def composite(self) -> bool:
        return bool(self.task.subtasks)

    @property
    def deadline(self) -> datetime:
        return self.submitted_at + timedelta(seconds=self.task.timeout_s)


def apply(state: TaskState | None, entry: Entry, refused: TaskError | None = None) -> TaskState | None:
    """Fold one entry about this task. Entries before the first submission, and ones folded already, change nothing.

    `refused`: why a result is not what its agent announced; then the task has failed by it.
    """
    if state is None:
        return _submitted(entry) if isinstance(entry.body, Submission) else None
    if entry.seq <= state.last_seq:
        return state
    ignored = why_ignored(state, entry)
    after = state if ignored else _failed(state, entry, refused) if refused else _folded(state, entry)
    return replace(after, last_seq=entry.seq, history=_longer(state.history, _line(entry, ignored)))


def why_ignored(state: TaskState, entry: Entry) -> str | None:
    """Why this entry changes nothing, or None if it counts."""
    body = entry.body
    if state.finished is not None:
        return f"after the end: {state.finished.status}"
    if isinstance(body, Submission):
        return "submitted already"
    if isinstance(body, Finished):
        return None
    if state.outcome is not None:
        return f"the outcome stands already: {state.outcome.status}"
    if isinstance(body, Assignment):
        return _assignment_ignored(state, body)
    if isinstance(body, Split):
        return "it has parts already" if state.composite else None
    if isinstance(body, Progress | Result | Failure):
        return _word_ignored(state, entry.agent, body.fence)
    return None


def _assignment_ignored(state: TaskState, body: Assignment) -> str | None:
    if state.composite:
        return "a composite task is not assigned"
    if body.fence != state.fence + 1:
        return f"fence {body.fence} does not follow {state.fence}"
    waits = state.held and state.status == "assigned" and state.agent == body.stolen_from
    return None if waits or body.stolen_from is None else f"{body.stolen_from} has begun it, or has not got it"


def _word_ignored(state: TaskState, agent: str, fence: int) -> str | None:
    if fence != state.fence:
        return f"old fence {fence}, current is {state.fence}" if fence < state.fence else f"unknown fence {fence}"
    if agent != state.agent:
        return f"fence {fence} is not held by {agent}"
    return None if state.held else f"fence {fence} is over"


def _submitted(entry: Entry) -> TaskState:
    return TaskState(
        task_id=entry.tokens["task"],
        task=entry.body,
        submitted_seq=entry.seq,
        submitted_at=entry.time,
        last_seq=entry.seq,
        history=(_line(entry, None),),
    )


def _folded(state: TaskState, entry: Entry) -> TaskState:
    match entry.body:
        case Assignment() as body:
            return _assigned(state, entry, body)
        case Split() as body:
            return _split(state, body)
        case Progress() | InputAnswer() as body:
            return _goes_on(state, entry, body)
        case Result(output=output):
            return replace(state, outcome=Finished(status="succeeded", agent=entry.agent, output=output))
        case Failure(error=error):
            return _failed(state, entry, error)
        case Cancel(reason=reason):
            return replace(state, outcome=cancelled(reason or f"cancelled by {entry.agent}"))
        case Finished() as body:
            return replace(state, status=body.status, error=body.error, finished=body, finished_at=entry.time)
        case _:
            return state


def _split(state: TaskState, body: Split) -> TaskState:
    """From now on it is a composite task; whoever had it has it no longer."""
    return replace(_free(state), task=replace(state.task, subtasks=body.subtasks), scores=tuple(body.scores), not_before=None)


def _goes_on(state: TaskState, entry: Entry, body: Progress | InputAnswer) -> TaskState:
    if isinstance(body, InputAnswer):
        return replace(state, waiting=False)
    return replace(
        state,
        status="running",
        instance=body.instance or state.instance,
        fraction=state.fraction if body.fraction is None else body.fraction,
        waiting=body.state == "input_required",
        lease_until=_lease_end(entry, state.lease_s),
    )


def _free(state: TaskState) -> TaskState:
    """The task as nobody has it; its fence stays."""
    return replace(state, status="submitted", agent=None, instance=None, lease_until=None, fraction=None, waiting=False)


def _assigned(state: TaskState, entry: Entry, body: Assignment) -> TaskState:
    stolen = body.stolen_from is not None
    return replace(
        state,
        status="assigned",
        agent=entry.agent,
        instance=body.instance,
        skill=body.skill,
        fence=body.fence,
        lease_s=body.lease_s,
        lease_until=_lease_end(entry, body.lease_s),
        assigned_at=entry.time,
        backoff_s=body.backoff_s,
        not_before=None,
        scores=tuple(body.scores),
        fraction=None,
        waiting=False,
        losses=state.losses + (state.held and not stolen),
        tried=state.tried if stolen else state.avoided,
        stolen=state.stolen | {body.stolen_from} if body.stolen_from else state.stolen,
    )


def _failed(state: TaskState, entry: Entry, error: TaskError) -> TaskState:
    failures, agent = state.failures + 1, entry.agent
    if not error.retryable or failures >= ATTEMPTS_MAX:
        end = Finished(status="failed", agent=agent, error=error)
        return replace(state, failures=failures, error=error, outcome=end)
    again_at = entry.time + timedelta(seconds=state.backoff_s)
    return replace(_free(state), failures=failures, error=error, tried=state.tried | {agent}, not_before=again_at)


def _lease_end(entry: Entry, lease_s: float) -> datetime:
    return entry.time + timedelta(seconds=lease_s)


def _line(entry: Entry, ignored: str | None) -> HistoryEntry:
    agent = entry.tokens.get("agent")
    name = entry.name.rpartition(".")[2]
    return HistoryEntry(seq=entry.seq, at=rfc3339(entry.time), entry=name, agent=agent, body=entry.body, ignored=ignored)


def _longer(history: tuple[HistoryEntry, ...], line: HistoryEntry) -> tuple[HistoryEntry, ...]:
    kept = history if len(history) < HISTORY_LEN_MAX else history[:1] + history[2:]
    return (*kept, line)


def cancelled(reason: str) -> Finished:
    """How a cancelled task ends."""
    return Finished(status="cancelled", error=TaskError(code="cancelled", message=reason))


def failed(code: str, message: str, *, retryable: bool = False, agent: str | None = None) -> Finished:
    """How a task ends that nobody could bring to a good end."""
    return Finished(status="failed", agent=agent, error=TaskError(code=code, message=message, retryable=retryable))


def expired(task: Submission) -> Finished:
    """How a task ends whose time is over."""
    return Finished(status="expired", error=TaskError(code="expired", message=f"not done within {task.timeout_s:g} s"))


# What is due


class Assign(msgspec.Struct, frozen=True):
    """The task needs an agent; `fence` is the one it comes with."""

    fence: int


class Finish(msgspec.Struct, frozen=True):
    """The task must be finished like this."""

    end: Finished


Alive = Callable[[str, str | None], bool]
"""Whether an agent's instance (None: any of them) is there, as far as is known."""


def lease_over(state: TaskState, now: datetime, alive: Alive) -> bool:
    """Whether the assignment holds no longer: its time is over, or who has it is known to be gone."""
    if not state.held or state.agent is None or state.lease_until is None:
        return True
    return now >= state.lease_until or not alive(state.agent, state.instance)


def due(state: TaskState, now: datetime, alive: Alive) -> Assign | Finish | None:
    """What has to be written about this task now. A composite one is never assigned (see `graph`)."""
    if state.finished is not None:
        return None
    if state.outcome is not None:
        return Finish(state.outcome)
    if now >= state.deadline:
        return Finish(expired(state.task))
    if state.composite or (state.not_before is not None and now < state.not_before) or not lease_over(state, now, alive):
        return None
    if state.losses + state.held >= LOST_MAX:
        return Finish(failed("lease_lost", f"{LOST_MAX} agents took it and fell silent", retryable=True, agent=state.agent))
    return Assign(state.fence + 1)


def unbegun(state: TaskState, now: datetime, steal_after_s: float) -> bool:
    """Whether it has waited with its agent for so long, without being begun, that an idle one may take it."""
    waits = state.held and state.status == "assigned"
    return waits and state.assigned_at is not None and now >= state.assigned_at + timedelta(seconds=steal_after_s)


def backoff_s(failures: int, first_s: float, max_s: float) -> float:
    """Pause after one more failure: it doubles with each, from `first_s` up to `max_s` (truncated exponential backoff)."""
    return min(max_s, first_s * 2.0**failures)


def reason(state: TaskState, now: datetime) -> str | None:
    """Why a task that was assigned before is assigned again, in a sentence; None for the first time."""
    if state.fence == 0:
        return None
    if not state.held:
        return f"try {state.failures + 1} of {ATTEMPTS_MAX}, after {state.error.code}" if state.error else None
    over = state.lease_until is not None and now >= state.lease_until
    return f"the lease of {state.agent} ran out" if over else f"{state.agent} is gone"


# What the log says of an agent's work

CALLERS_FAULT = frozenset({"bad_input", "not_understood"})
"""Failures that say nothing about the agent."""


class Credit(msgspec.Struct, frozen=True):
    """One piece of work that speaks for an agent, or against it, in each of these skills."""

    agent: str
    skills: tuple[str, ...]
    domain: str | None
    success: bool


def credit(before: TaskState | None, after: TaskState) -> Credit | None:
    """What the step from `before` to `after` says of an agent's work, or None if nothing."""
    if before is None or not before.held or before.agent is None or after.finished is not None:
        return None
    skills = tuple(dict.fromkeys(before.task.required_skills)) or (before.skill or "",)
    if after.outcome is not None and after.outcome.status == "succeeded":
        return Credit(before.agent, skills, before.task.domain, success=True)
    if after.failures > before.failures and after.error is not None and after.error.code not in CALLERS_FAULT:
        return Credit(before.agent, skills, before.task.domain, success=False)
    return None


def defaults_filled(state: TaskState) -> dict[str, Any]:
    """The task's fields as its assignment carries them."""
    return {name: getattr(state.task, name) for name in Submission.__struct_fields__}
