"""Task distribution: submit a task, see who got it and why and what came of it, cancel it, list tasks."""

from contextlib import suppress

import msgspec

from bus.errors import TimedOut, Unavailable, conflict, refusal
from bus.subjects import ASK_TASK, ASK_TASKS, TASK_CANCEL, TASK_SUBMITTED
from gateway.call import Answer, Call, problem, reply
from gateway.waiting import until
from schemas.members import Ask
from schemas.tasks import Cancel, Submission, TaskDetail, TaskReceipt, TaskRequest
from schemas.words import Token

ENDED = {"succeeded", "failed", "cancelled", "expired"}
NOT_TO_BE_HAD = {"no_such_skill": "$.required_skills", "no_such_agent": "$.agent"}
"""What a task can ask for that is not there: the code of its failure, and the field that asked."""
CANCEL_WAIT_S = 1.0
"""How long a cancelled task is given to end, so that its end stands in the answer."""


class TaskPath(msgspec.Struct, frozen=True):
    task_id: Token


async def distribute(call: Call) -> Answer:
    """Submit a task; the mesh assigns it to the agent that fits best, and says why in numbers.

    Answers 202 once it is assigned, or 200 with its outcome when `wait` is true (202 with `Location` when it lasts
    longer than one request may). 422 names the skills that no agent has, or the agent that is not there.
    """
    request: TaskRequest = call.body
    submission = Submission(**{f: getattr(request, f) for f in Submission.__struct_fields__})
    ident = call.ids.new()
    await call.bus.publish(TASK_SUBMITTED, submission, msg_id=ident, headers=call.via, task=ident)
    headers = {"location": f"/neural-mesh/tasks/{ident}"}
    try:
        view = await _outcome(call, ident, request)
    except (Unavailable, TimedOut) as e:
        if request.wait:
            return problem(type(e)(f"{e}; task {ident} is on the log"), headers)
        view = None
    if view is None:
        return reply(TaskReceipt(task_id=ident, status="submitted", assigned_to=None, scores=[]), 202, headers)
    if view.error is not None and (path := NOT_TO_BE_HAD.get(view.error.code)):
        raise refusal(422, view.error.message or "nobody can do this", path=path, code=view.error.code)
    return reply(_receipt(view)) if request.wait and _ended(view) else reply(_receipt(view), 202, headers)


async def _outcome(call: Call, ident: str, request: TaskRequest) -> TaskDetail | None:
    if request.wait:
        wait_s = min(request.timeout_s + call.settings.end_grace_s, call.settings.end_wait_s)
        view: TaskDetail | None = await until(call, ASK_TASK, ident, _ended, wait_s)
    else:
        view = await until(call, ASK_TASK, ident, _assigned, call.settings.assign_wait_s, slice_s=0)
    return view


def _ended(view: TaskDetail) -> bool:
    return view.status in ENDED


def _assigned(view: TaskDetail) -> bool:
    return view.status != "submitted"


def _receipt(view: TaskDetail) -> TaskReceipt:
    return TaskReceipt(**{f: getattr(view, f) for f in TaskReceipt.__struct_fields__})


async def task(call: Call) -> Answer:
    """A task with its history: every entry of the log about it."""
    return reply(await call.ask(ASK_TASK, Ask(id=call.path.task_id)))


async def tasks(call: Call) -> Answer:
    """Tasks, newest first. `before` goes on where `next_before` of the page before ended."""
    return reply(await call.ask(ASK_TASKS, call.query))


async def cancel(call: Call) -> Answer:
    """Ask for a task's end; 409 when it has ended. Answers with the task as it then stands."""
    ident = call.path.task_id
    view = await call.ask(ASK_TASK, Ask(id=ident))
    if _ended(view):
        raise conflict(f"task {ident} has ended: {view.status}")
    await call.bus.publish(
        TASK_CANCEL, Cancel(reason=f"cancelled by {call.gate.speaker}"), headers=call.via, task=ident, agent=call.gate.speaker
    )
    with suppress(Unavailable, TimedOut):  # the cancellation is on the log; without an answer the view is the one before it
        view = await until(call, ASK_TASK, ident, _ended, CANCEL_WAIT_S, slice_s=0) or view
    return reply(view, 202)
