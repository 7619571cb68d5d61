"""What a skill is: a name that tasks require, what goes in and comes out, and what performs it."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import msgspec

from agents.learning.actor import RelevantLesson
from agents.llm.faculty import Faculty
from agents.recall import Recall
from bus import subjects
from bus.connection import Bus

Lessons = Callable[[str, str | None, int], list[RelevantLesson]]
"""The lessons this agent holds that bear on a text, given a domain or None, at most so many, nearest first."""

Checkpoint = Callable[[dict[str, Any]], Awaitable[None]]
"""Leaves a packet; returned means that it is on disk."""


class SkillContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a skill may use: the agent's name, the bus, memory, its lessons, the names of the agents that come with the
    project, and the time its work began. `task_id` is the task that it works on, `left_s` says how many seconds of it are left,
    and `tell` lets those who watch it know how far the work is. `checkpoint` leaves a packet for whoever goes on with the task
    should this agent die; `handoff` is the last one that was left, None where the work begins from the start. `faculty` is the
    agent's language model, None where it has none.
    """

    agent: str
    task_id: str
    bus: Bus
    recall: Recall
    lessons: Lessons
    builtin: frozenset[str]
    now: datetime
    left_s: Callable[[], float]
    tell: Callable[[str], Awaitable[None]]
    checkpoint: Checkpoint
    handoff: dict[str, Any] | None = None
    faculty: Faculty | None = None


REPEATS = frozenset(row.name for row in (subjects.TASK_ASSIGNED, subjects.TASK_SPLIT, subjects.TASK_PROGRESS, subjects.TASK_FINISHED))
"""What is remembered of a task that only repeats its submission or its result."""


def is_echo(action_type: str, details: dict[str, Any], task_id: str) -> bool:
    """Whether an episode only tells of the task that is being worked on, or repeats what another one says."""
    ours = action_type == subjects.TASK_SUBMITTED.name and details.get("task") == task_id
    return ours or action_type in REPEATS


class SkillError(Exception):
    """The work could not be done: a stable code, a sentence, and whether another try may help."""

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


def bad_input(message: str, path: str) -> SkillError:
    """The input is of the right types, but makes no sense; `path` as in `$.tasks[1].depends_on`."""
    return SkillError("bad_input", f"{message} - at `{path}`")


class Speech(msgspec.Struct, frozen=True, kw_only=True):
    """How a skill is used in plain words. `wants` says what a message must hold; `hear` makes the input of it, or None where it
    does not hold that; `say` tells the output.
    """

    wants: str
    hear: Callable[[str], Any | None]
    say: Callable[[Any], str]


class Skill(msgspec.Struct, frozen=True, kw_only=True):
    """One skill. `run` is given an `input` and returns an `output`, both msgspec types, or raises `SkillError`. Without `speech` it
    is used by its input alone.

    `patient`: it waits for others, so that only the time of its task bounds it, and not `skill_timeout_s`.
    """

    name: str
    description: str
    input: Any
    output: Any
    run: Callable[[SkillContext, Any], Awaitable[Any]]
    needs_language_model: bool = False
    speech: Speech | None = None
    patient: bool = False
