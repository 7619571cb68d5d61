"""Lists of tasks (specification 1.0, section 3.1.4): which there are is asked of the agents, what they say comes from the log."""

from collections.abc import AsyncIterator
from datetime import UTC
from typing import NamedTuple

from a2a.types import a2a_pb2 as pb

from bus.errors import Refused
from bus.subjects import ASK_TASKS
from gateway.a2a import reading
from gateway.a2a.faults import invalid
from gateway.a2a.operations import history_len
from gateway.a2a.story import ENDS, REJECTIONS, Story
from gateway.call import Call
from schemas.tasks import TaskFilter, TaskStatus, TaskView
from schemas.words import rfc3339

PAGE_LEN = 50
"""Tasks of one page unless the client says otherwise (the specification's default)."""
PAGE_LEN_LIMIT = 100
"""Most tasks of one page (the specification's limit)."""
LISTED_MAX = 2_000
"""Most tasks that a list looks at, the latest submitted first; what is older is found by its id, or by its context."""
ASKED_LEN = 50
"""Tasks asked for at a time; fewer where their outputs, which are in the answer, do not fit one message."""
SEPARATOR = "~"
"""Between the two parts of a page token."""

CANDIDATES: dict[int, tuple[TaskStatus | None, ...]] = {
    pb.TASK_STATE_UNSPECIFIED: (None,),
    pb.TASK_STATE_SUBMITTED: ("submitted",),
    pb.TASK_STATE_WORKING: ("submitted", "assigned", "running"),
    pb.TASK_STATE_INPUT_REQUIRED: ("running",),
    pb.TASK_STATE_COMPLETED: ("succeeded",),
    pb.TASK_STATE_FAILED: ("failed", "expired"),
    pb.TASK_STATE_REJECTED: ("failed",),
    pb.TASK_STATE_CANCELED: ("cancelled",),
}
"""The statuses of the mesh among which tasks of a state of A2A are."""


class Line(NamedTuple):
    """A task's place in the list: since when its status stands (RFC 3339), then its id. `story` where it was read for that."""

    since: str
    task_id: str
    story: Story | None = None

    @property
    def place(self) -> tuple[str, str]:
        return self.since, self.task_id


async def list_tasks(call: Call, request: pb.ListTasksRequest) -> pb.ListTasksResponse:
    """Tasks, the latest change first. `pageToken` goes on where the page before ended."""
    size, kept = _page_len(request), history_len(request)
    lines = sorted(await _lines(call, request), key=lambda line: line.place, reverse=True)
    start = _after(lines, request.page_token)
    page = lines[start : start + size]
    read = await reading.stories(call, [line.task_id for line in page if line.story is None])
    shown = [line.story or read.get(line.task_id) for line in page]
    return pb.ListTasksResponse(
        tasks=[story.shown(kept, artifacts=request.include_artifacts) for story in shown if story is not None],
        next_page_token=SEPARATOR.join(page[-1].place) if start + size < len(lines) else "",
        page_size=size,
        total_size=len(lines),
    )


async def _lines(call: Call, request: pb.ListTasksRequest) -> list[Line]:
    """All that the request asks for. Of ended tasks the agents say enough; how others stand is read in the log."""
    views = [view async for view in _candidates(call, request)]
    ended = [(Line(v.finished_at, v.task_id), _end(v)) for v in views if v.finished_at is not None]
    open_ = await reading.stories(call, [v.task_id for v in views if v.finished_at is None])
    lines = [*ended, *((Line(rfc3339(s.since), ident, s), s.task.status.state) for ident, s in open_.items())]
    after = request.status_timestamp_after.ToDatetime(UTC) if request.HasField("status_timestamp_after") else None
    return [
        line for line, state in lines if (not request.status or state == request.status) and (after is None or line.since >= rfc3339(after))
    ]


def _end(view: TaskView) -> int:
    if view.error is not None and view.error.code in REJECTIONS:
        return pb.TASK_STATE_REJECTED
    return ENDS[view.status]


def _page_len(request: pb.ListTasksRequest) -> int:
    if not request.HasField("page_size"):
        return PAGE_LEN
    if not 1 <= request.page_size <= PAGE_LEN_LIMIT:
        raise invalid(f"must be 1 to {PAGE_LEN_LIMIT}", "pageSize")
    return request.page_size


async def _candidates(call: Call, request: pb.ListTasksRequest) -> AsyncIterator[TaskView]:
    limit = ASKED_LEN
    for status in CANDIDATES.get(request.status, ()):
        before, seen = None, 0
        while seen < LISTED_MAX:
            which = TaskFilter(status=status, context=request.context_id or None, limit=limit, before=before)
            try:
                page = await call.ask(ASK_TASKS, which)
            except Refused as e:
                if e.problem().status != 413 or limit == 1:
                    raise
                limit //= 2
                continue
            for view in page.tasks:
                yield view
            seen, before = seen + len(page.tasks), page.next_before
            if before is None:
                break


def _after(lines: list[Line], token: str) -> int:
    """Where the page after `token` begins. A task that has changed meanwhile has moved to the front, and is on no later page."""
    if not token:
        return 0
    since, separator, task_id = token.partition(SEPARATOR)
    if not separator:
        raise invalid("is no page token of this list", "pageToken")
    return next((i for i, line in enumerate(lines) if line.place < (since, task_id)), len(lines))
