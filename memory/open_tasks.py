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
from schemas.tasks import Assignment, Cancel, Failure, Finished, Result, Submission

KNOWN: Final = statement("known_tasks")
PUT: Final = statement("put_tasks")

TELLING: Final = (Submission, Assignment, Result, Failure, Cancel, Finished)
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
    ended_seq: int | None = None


def apply(task: TaskRow | None, row: EpisodeRow) -> TaskRow | None:
    """Fold one entry about this task. What comes before its submission, after its end, or under another fence, changes nothing."""
    entry, body = row.entry, row.entry.body
    if task is None:
        return _submitted(row, body) if isinstance(body, Submission) else None
    if task.ended_seq is not None:
        return task
    match body:
        case Assignment(fence=fence) if fence == task.fence + 1:
            return replace(task, fence=fence, agent_id=entry.agent, assigned_seq=entry.seq, assigned_at=entry.time)
        case Result(fence=fence) if _holds(task, entry.agent, fence):
            return _ended(task, entry.seq)
        case Failure(fence=fence, error=error) if _holds(task, entry.agent, fence):
            return replace(task, agent_id=None) if error.retryable else _ended(task, entry.seq)
        case Cancel() | Finished():
            return _ended(task, entry.seq)
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


def _ended(task: TaskRow, seq: int) -> TaskRow:
    return replace(task, agent_id=None, ended_seq=seq)


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
