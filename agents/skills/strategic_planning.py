"""Strategic planning: the critical path method (Kelley and Walker 1959). Tasks with estimates and dependencies in, schedule out.

Every task starts as early as what it depends on allows; as many as can run in parallel do. `slack` is how much later a
task may start without making the whole longer; the critical path is a longest chain of tasks without slack.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from agents.skills.skill import Skill, SkillContext, bad_input

TASKS_MAX = 1_000
"""Most tasks of one plan."""
ESTIMATE_MAX = 1e9
"""Longest estimate of one task, in the caller's unit."""
SLACK_MIN = 1e-9
"""Slack below this share of the plan's length is none: sums of fractions are not exact."""

TaskId = Annotated[str, Meta(min_length=1, max_length=255)]


class PlannedTask(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be done. `estimate` in any unit of time, the same for all."""

    id: TaskId
    estimate: Annotated[float, Meta(ge=0, le=ESTIMATE_MAX)]
    depends_on: Annotated[list[TaskId], Meta(max_length=TASKS_MAX)] = []


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be planned."""

    tasks: Annotated[list[PlannedTask], Meta(max_length=TASKS_MAX)]


class Scheduled(msgspec.Struct, frozen=True, kw_only=True):
    """When a task runs, in units after the start, and by how much it may slip."""

    id: str
    start: float
    end: float
    slack: float


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """The plan, in order of start; `length` is how long the whole takes."""

    schedule: list[Scheduled]
    critical_path: list[str]
    length: float


def schedule(tasks: list[PlannedTask]) -> Schedule:
    """Forward pass for the earliest times, backward pass for the slack. Raises `SkillError` `bad_input` for what is no plan."""
    by_id = _checked(tasks)
    order = _ordered(tasks)
    start: dict[str, float] = {}
    end: dict[str, float] = {}
    for ident in order:
        start[ident] = max((end[d] for d in by_id[ident].depends_on), default=0.0)
        end[ident] = start[ident] + by_id[ident].estimate
    length = max(end.values(), default=0.0)
    latest = dict.fromkeys(order, length)
    for ident in reversed(order):
        for needed in by_id[ident].depends_on:
            latest[needed] = min(latest[needed], latest[ident] - by_id[ident].estimate)
    slack = {ident: _slack(latest[ident] - end[ident], length) for ident in order}
    rows = [Scheduled(id=i, start=start[i], end=end[i], slack=slack[i]) for i in order]
    rows.sort(key=lambda r: (r.start, r.end, r.id))
    return Schedule(schedule=rows, critical_path=_critical(by_id, end, slack), length=length)


def _slack(late: float, length: float) -> float:
    return late if late > SLACK_MIN * max(1.0, length) else 0.0


def _critical(by_id: dict[str, PlannedTask], end: dict[str, float], slack: dict[str, float]) -> list[str]:
    """Back from the last task that ends, each time to the dependency that ends last; ties by id."""
    last = max((i for i in end if slack[i] == 0.0), key=lambda i: (end[i], i), default=None)
    path: list[str] = []
    while last is not None:
        path.append(last)
        last = max(by_id[last].depends_on, key=lambda i: (end[i], i), default=None)
    return path[::-1]


def _checked(tasks: list[PlannedTask]) -> dict[str, PlannedTask]:
    by_id: dict[str, PlannedTask] = {}
    for i, task in enumerate(tasks):
        if task.id in by_id:
            raise bad_input(f"two tasks are called {task.id}", f"$.tasks[{i}].id")
        by_id[task.id] = task
    for i, task in enumerate(tasks):
        for j, needed in enumerate(task.depends_on):
            if needed not in by_id:
                raise bad_input(f"{task.id} depends on unknown {needed}", f"$.tasks[{i}].depends_on[{j}]")
    return by_id


def _ordered(tasks: list[PlannedTask]) -> list[str]:
    """The ids so that each stands after all it depends on (Kahn 1962)."""
    waiting = {t.id: len(set(t.depends_on)) for t in tasks}
    followers: dict[str, list[str]] = {t.id: [] for t in tasks}
    for task in tasks:
        for needed in sorted(set(task.depends_on)):
            followers[needed].append(task.id)
    order = [ident for ident, count in waiting.items() if count == 0]
    for ident in order:
        for follower in followers[ident]:
            waiting[follower] -= 1
            if waiting[follower] == 0:
                order.append(follower)
    if len(order) < len(tasks):
        circle = sorted(ident for ident, count in waiting.items() if count > 0)
        raise bad_input(f"tasks depend on each other in a circle: {', '.join(circle[:10])}", "$.tasks")
    return order


async def _run(_: SkillContext, plan: Plan) -> Schedule:
    return schedule(plan.tasks)


STRATEGIC_PLANNING = Skill(
    name="strategic_planning",
    description="Plan tasks with estimates and dependencies: schedule, slack, critical path and length of the whole.",
    input=Plan,
    output=Schedule,
    run=_run,
)
