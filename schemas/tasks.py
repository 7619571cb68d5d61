"""Task distribution: submissions, assignments as fenced leases, progress, results, and how a task is told."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta

from schemas.members import SkillName
from schemas.words import Body, EventId, PageSize, Receipt, Reply, Text, Title, Token, Unit

TASK_TIMEOUT_S_MAX = 7 * 86_400.0
"""Longest time a task may take: 7 days."""
SUBTASKS_MAX = 100
"""Most subtasks of one composite task."""
SKILLS_REQUIRED_MAX = 20
"""Most skills one task may require."""

TaskTimeoutS = Annotated[float, Meta(gt=0, le=TASK_TIMEOUT_S_MAX)]
Priority = Annotated[int, Meta(ge=0, le=9)]
RequiredSkills = Annotated[list[SkillName], Meta(max_length=SKILLS_REQUIRED_MAX)]
Fence = Annotated[int, Meta(ge=1)]
SubtaskId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.:-]{0,99}$")]
"""Any name of a skill is one: a part made for a skill is called after it."""


class Subtask(Body, frozen=True, kw_only=True):
    """A part of a composite task; it starts when all of `depends_on` have succeeded, and finds their outputs in `input.dependencies`.

    Without a `domain` it has that of the whole.
    """

    id: SubtaskId
    title: Title
    description: Text = ""
    required_skills: RequiredSkills = []
    input: dict[str, Any] = {}
    domain: Title | None = None
    depends_on: Annotated[list[SubtaskId], Meta(max_length=SUBTASKS_MAX)] = []


class Submission(Body, frozen=True, kw_only=True):
    """`mesh.task.<task>.submitted`. `priority` 9 is the most urgent; `timeout_s` runs from the entry in the log.

    `domain`: what it is about, in a word, so that success in that domain counts when an agent is chosen. `context`: the
    conversation that it belongs to, if any. `agent`: the only one that may do it.
    """

    title: Title
    description: Text = ""
    required_skills: RequiredSkills = []
    input: dict[str, Any] = {}
    priority: Priority = 5
    timeout_s: TaskTimeoutS = 60.0
    subtasks: Annotated[list[Subtask], Meta(max_length=SUBTASKS_MAX)] = []
    parent: Token | None = None
    context: EventId | None = None
    domain: Title | None = None
    agent: Token | None = None

    def __post_init__(self) -> None:
        if fault := subtask_fault(self.subtasks):
            raise ValueError(fault)


def subtask_fault(subtasks: list[Subtask]) -> str | None:
    """Why these subtasks are no graph that can be worked off, or None."""
    waiting = {s.id: set(s.depends_on) for s in subtasks}
    if len(waiting) != len(subtasks):
        return "two subtasks have the same id"
    for sub, needs in waiting.items():
        if unknown := sorted(needs - set(waiting)):
            return f"subtask {sub} depends on unknown {', '.join(unknown)}"
    while ready := [sub for sub, needs in waiting.items() if not needs]:
        for sub in ready:
            del waiting[sub]
        waiting = {sub: needs - set(ready) for sub, needs in waiting.items()}
    return f"subtasks depend on each other in a circle: {', '.join(sorted(waiting))}" if waiting else None


class Why(Reply, frozen=True, kw_only=True):
    """The parts of a score, each 0…1: skill match, similarity to the profile, success rate, free capacity, affect.

    `success` is hopeful: the mean of what the log says plus half a standard deviation; `Score.record` has both.
    """

    skill: float
    similarity: float
    success: float
    load: float
    affect: float


class SuccessRecord(Reply, frozen=True, kw_only=True):
    """What the log says of an agent's work on such tasks: a Beta distribution by its mean and its standard deviation (`deviation`).

    `successes` and `failures` are faded counts of the skill, or of the skill in the task's domain; `prior` is the mean that is
    expected without them, from its other work.
    """

    mean: float
    deviation: float
    successes: float
    failures: float
    prior: float


class Score(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """Why an agent was, or was not, the best for a task. `skill`: for which part, where a task was split."""

    agent: str
    score: float
    why: Why
    record: SuccessRecord | None = None
    skill: str | None = None


class AssignedTask(Submission, frozen=True, kw_only=True):
    """The task as its assignment carries it: with its id and all defaults."""

    task_id: Token


class Assignment(Body, frozen=True, kw_only=True):
    """`mesh.task.<task>.assigned.<agent>`: a lease of `lease_s` with fencing token `fence` (1, 2, …).

    `backoff_s`: pause before the next assignment, should this one fail in a way that may be tried again. `reason`: why there
    is a further one. `stolen_from`: who had it before and had not begun it.
    """

    fence: Fence
    lease_s: Annotated[float, Meta(gt=0)]
    task: AssignedTask
    skill: str | None = None
    instance: Token | None = None
    scores: list[Score] = []
    backoff_s: Annotated[float, Meta(ge=0)] = 0.0
    reason: Text | None = None
    stolen_from: Token | None = None


class Split(Body, frozen=True, kw_only=True):
    """`mesh.task.<task>.split`: no one agent has all required skills, so it becomes a composite task, one part for each skill.

    `scores`: who was the best for each part when it was split. Written once.
    """

    subtasks: Annotated[list[Subtask], Meta(min_length=1, max_length=SUBTASKS_MAX)]
    reason: Text = ""
    scores: list[Score] = []

    def __post_init__(self) -> None:
        if fault := subtask_fault(self.subtasks):
            raise ValueError(fault)


class Artifact(Body, frozen=True, kw_only=True):
    """A piece of a task's outcome that comes before its result."""

    artifact_id: Annotated[str, Meta(min_length=1, max_length=255)]
    parts: list[dict[str, Any]] = []
    append: bool = False
    last: bool = False


class Progress(Body, frozen=True, kw_only=True):
    """`mesh.task.<task>.progress.<agent>`: a sign of life that extends the lease. `instance`: which instance of the agent works on it."""

    fence: Fence
    state: Literal["running", "input_required"] = "running"
    fraction: Unit | None = None
    message: Text | None = None
    artifact: Artifact | None = None
    instance: Token | None = None


class InputAnswer(Body, frozen=True, kw_only=True):
    """`mesh.task.<task>.input.<agent>`: the answer to `input_required`."""

    message: Any


class Result(Body, frozen=True, kw_only=True):
    """`mesh.task.<task>.result.<agent>`. `recalled`: the memories that entered the work."""

    fence: Fence
    output: Any = None
    message: dict[str, Any] | None = None
    recalled: Receipt = UNSET


class TaskError(Body, frozen=True, kw_only=True):
    """Why a task failed: a stable code, a sentence, and whether another try may help."""

    code: Annotated[str, Meta(min_length=1, max_length=100)]
    message: Text = ""
    retryable: bool = False


class Failure(Body, frozen=True, kw_only=True):
    """`mesh.task.<task>.failed.<agent>`. `recalled`: the memories that entered the work."""

    fence: Fence
    error: TaskError
    recalled: Receipt = UNSET


class Cancel(Body, frozen=True, kw_only=True):
    """`mesh.task.<task>.cancel.<agent>`."""

    reason: Text | None = None


TaskEnd = Literal["succeeded", "failed", "cancelled", "expired"]
TaskStatus = Literal["submitted", "assigned", "running", "succeeded", "failed", "cancelled", "expired"]


class Finished(Body, frozen=True, kw_only=True):
    """`mesh.task.<task>.finished`: how a task ended; `agent` is null when nobody did it. Written once."""

    status: TaskEnd
    agent: str | None = None
    output: Any = None
    error: TaskError | None = None


class TaskRequest(Submission, frozen=True, kw_only=True):
    """`POST /neural-mesh/task-distribute`."""

    wait: bool = False


class TaskReceipt(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to a distribution: who got it and why, and its outcome once there is one."""

    task_id: str
    status: TaskStatus
    assigned_to: str | None
    scores: list[Score]
    result: Any = None
    error: TaskError | None = None


class HistoryEntry(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of the log about a task; `ignored` says why it changed nothing (an old fence, after the end, …)."""

    seq: int
    at: str
    entry: str
    agent: str | None
    body: Any
    ignored: str | None = None


class TaskView(Reply, frozen=True, kw_only=True):
    """A task as lists show it."""

    task_id: str
    title: str
    description: str
    required_skills: list[str]
    priority: int
    timeout_s: float
    parent: str | None
    domain: str | None
    status: TaskStatus
    assigned_to: str | None
    instance: str | None
    fence: int
    scores: list[Score]
    fraction: float | None
    result: Any
    error: TaskError | None
    submitted_at: str
    finished_at: str | None
    context: str | None = None


class TaskDetail(TaskView, frozen=True, kw_only=True):
    """`GET /neural-mesh/tasks/{id}`: a task with every entry of the log about it."""

    history: list[HistoryEntry]


class TaskFilter(Body, frozen=True, kw_only=True):
    """`ask.tasks`, `GET /neural-mesh/tasks`."""

    status: TaskStatus | None = None
    agent: Token | None = None
    context: EventId | None = None
    limit: PageSize = 50
    before: str | None = None


class TaskPage(Reply, frozen=True, kw_only=True):
    tasks: list[TaskView]
    next_before: str | None
