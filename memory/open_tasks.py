"""Tasks as memory sees them: who holds which, folded from the log by the same law as the agents fold it (fences, outcomes).

Only what continuity needs is kept. The law in full, with leases and attempts, is that of the agents; an agent whose task is
in doubt here (its lease ran out and nobody was there to see it) is told of it, and learns from its fence whether it is still its own.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec.structs import replace

from memory.database import Connection, Database, statement
from memory.episode_row import EpisodeRow
from schemas.tasks import Assignment, Cancel, Failure, Finished, Result, Split, Submission

KNOWN: Final = statement("known_tasks")
PUT: Final = statement("put_tasks")
ERASE: Final = statement("erase_tasks")

TELLING: Final = (Submission, Assignment, Split, Result, Failure, Cancel, Finished)
"""Entries that say who holds a task. Progress does not."""


class TaskRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `tasks`. `agent_id`: who may still bring it to its end; None: nobody."""

    task_id: str
    submission: str
    submitted_seq: int
    expires_at: datetime
    fence: int = 0
    agent_id: str | None = None
    assigned_seq: int | None = None
    assigned_at: datetime | None = None
    settled: bool = False
    """Whether its outcome stands, as far as its own entries say; it is finished a moment later."""
    ended_seq: int | None = None


def apply(task: TaskRow | None, row: EpisodeRow) -> TaskRow | None:
    """Fold one entry about this task. What comes before its submission, after its end, or under another fence, changes nothing."""
    entry, body = row.entry, row.entry.body
    if task is None:
        return _submitted(row, body) if isinstance(body, Submission) else None
    if task.ended_seq is not None:
        return task
    if isinstance(body, Finished):
        return replace(_begun(task), settled=True, ended_seq=entry.seq)
    return task if task.settled else _told(task, row)


def _told(task: TaskRow, row: EpisodeRow) -> TaskRow:
    """A task whose outcome is open, after a further word about it."""
    entry = row.entry
    match entry.body:
        case Assignment(fence=fence) if fence == task.fence + 1:
            return replace(task, fence=fence, agent_id=entry.agent, assigned_seq=entry.seq, assigned_at=entry.time)
        case Split():
            return replace(task, agent_id=None)
        case Result(fence=fence) if _holds(task, entry.agent, fence):
            return replace(task, agent_id=None, settled=True)
        case Failure(fence=fence, error=error) if _holds(task, entry.agent, fence):
            return replace(task, agent_id=None, settled=not error.retryable)
        case Cancel():
            return replace(task, agent_id=None, settled=True)
    return task


def _submitted(row: EpisodeRow, task: Submission) -> TaskRow:
    return TaskRow(
        task_id=row.entry.tokens["task"],
        submission=row.episode_id,
        submitted_seq=row.stream_seq,
        expires_at=row.recorded_at + timedelta(seconds=task.timeout_s),
    )


def _holds(task: TaskRow, agent: str, fence: int) -> bool:
    return task.agent_id == agent and task.fence == fence


def _begun(task: TaskRow) -> TaskRow:
    """What only the submission says of it. A finished task is no more than this: who did what on the way may be forgotten, and a
    rebuild without those entries gives the same row.
    """
    return TaskRow(task_id=task.task_id, submission=task.submission, submitted_seq=task.submitted_seq, expires_at=task.expires_at)


class TaskProjection:
    """Keeps the table `tasks`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, connection: Connection, fresh: Sequence[EpisodeRow]) -> None:
        """Fold these entries, each into its task."""
        telling = [row for row in fresh if isinstance(row.entry.body, TELLING)]
        if not telling:
            return
        known = await self._known(connection, {row.entry.tokens["task"] for row in telling})
        after = dict(known)
        for row in telling:
            ident = row.entry.tokens["task"]
            if (folded := apply(after.get(ident), row)) is not None:
                after[ident] = folded
        changed = [task for ident, task in after.items() if task is not known.get(ident)]
        if changed:
            columns = [[getattr(task, column) for task in changed] for column in TaskRow.__struct_fields__]
            await self._database.run(connection, PUT, *columns)

    async def _known(self, connection: Connection, ids: set[str]) -> dict[str, TaskRow]:
        found = await self._database.run(connection, KNOWN, sorted(ids))
        return {r["task_id"]: TaskRow(**dict(r)) for r in found}


async def erase_tasks(database: Database, connection: Connection, ids: Sequence[str]) -> None:
    """Forget the tasks whose submission is one of these events. Part of the caller's transaction."""
    await database.run(connection, ERASE, ids)
