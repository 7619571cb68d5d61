"""A task that this agent performs."""

import asyncio
import logging
from typing import Any

import msgspec
import nats.errors
from nats.aio.msg import Msg

from cerebro_agent.connection import Connection
from cerebro_agent.errors import BAD_BODY, AgentError, Refused
from cerebro_agent.messages import Artifact, AssignedTask, Assignment, Progress, TaskView
from cerebro_agent.names import Names

log = logging.getLogger("cerebro_agent")

SIGNS_PER_LEASE = 4
"""How often within a lease the worker shows that it lives."""


class Task:
    """What a skill may use. `handoff` is the last packet that was left about the task, if it was begun before."""

    def __init__(self, connection: Connection, names: Names, assignment: Assignment, changed: asyncio.Event) -> None:
        self._connection = connection
        self._names = names
        self._fence = assignment.fence
        self._lease_s = assignment.lease_s
        self._skill = assignment.skill
        self._asked_at = 0
        self._answers: asyncio.Queue[Any] = asyncio.Queue()
        self._alive = Progress(fence=assignment.fence, instance=names.instance)
        self._progress = self._alive
        self.task: AssignedTask = assignment.task
        self.handoff: dict[str, Any] | None = None
        self.lost = asyncio.Event()
        self.waiting = False
        self._changed = changed

    @property
    def task_id(self) -> str:
        return self.task.task_id

    async def progress(self, fraction: float | None = None, message: str | None = None) -> None:
        """Tell how far the work is. Raises `Unavailable`."""
        await self._tell(msgspec.structs.replace(self._alive, fraction=fraction, message=message))

    async def artifact(self, artifact_id: str, parts: list[dict[str, Any]], *, append: bool = False, last: bool = False) -> None:
        """Give a piece of the outcome before the result. Raises `Unavailable`, `TooLarge`."""
        piece = Artifact(artifact_id=artifact_id, parts=parts, append=append, last=last)
        await self._tell(msgspec.structs.replace(self._alive, artifact=piece))

    async def ask(self, question: str) -> Any:
        """Ask whoever submitted the task, and wait for the answer; meanwhile the agent has room for another task."""
        self._progress = msgspec.structs.replace(self._alive, state="input_required", message=question)
        try:
            self._asked_at = await self._tell(self._progress)
            self.waiting = True
            self._changed.set()
            return await self._answers.get()
        finally:
            self.waiting = False
            self._progress = self._alive

    async def checkpoint(self, packet: dict[str, Any]) -> None:
        """Leave a packet for whoever goes on with the task should this agent die. Raises `Unavailable`, `TooLarge`."""
        details = {"task": self.task_id, "fence": self._fence, "skill": self._skill}
        action = {"action_type": "checkpoint", "action_details": details, "handoff_packet": packet, "importance_score": 0.3}
        await self._connection.put(self._names.episode, action)

    async def _tell(self, progress: Progress) -> int:
        return await self._connection.put(self._names.about(self.task_id, "progress"), progress)

    # what the worker does with it

    async def keep(self, msg: Msg) -> None:
        """Show every now and then that the work goes on: to the mesh, which extends the lease, and to the server."""
        while True:
            try:
                await self._tell(self._progress)
                await msg.in_progress()
            except (AgentError, nats.errors.Error, OSError) as e:
                log.info("no sign of life for task %s: %s", self.task_id, e)
            await asyncio.sleep(self._lease_s / SIGNS_PER_LEASE)

    async def hear(self, msg: Msg) -> None:
        """Something was said about this task."""
        kind = self._names.token(msg.subject, 3)
        if kind in {"finished", "cancel"} or (kind == "assigned" and _fence(msg.data) > self._fence):
            self.lost.set()
        elif kind == "input":
            try:
                answer = msgspec.json.decode(msg.data)
            except BAD_BODY as e:
                log.warning("%s is no answer: %s", msg.subject, e)
                return
            self._answered(int((msg.headers or {}).get("Nats-Sequence", 0)), answer)

    def _answered(self, seq: int, body: Any) -> None:
        if seq > self._asked_at and isinstance(body, dict) and "message" in body:
            self._asked_at = seq
            self._answers.put_nowait(body["message"])

    async def look(self, agent: str) -> None:
        """Ask the mesh how the task stands, which may know what was not heard. Raises `Unavailable`.

        An answerer that has not come to the assignment yet shows an older fence: then it is ours.
        """
        try:
            view = await self._connection.ask(self._names.subject("ask.task"), {"id": self.task_id}, TaskView)
        except Refused:
            self.lost.set()  # nobody knows it any more
            return
        if view.finished_at or view.fence > self._fence or (view.fence == self._fence and view.assigned_to != agent):
            self.lost.set()
        for entry in view.history:
            if entry.entry in {"result", "failed"} and isinstance(entry.body, dict) and entry.body.get("fence") == self._fence:
                self.lost.set()  # its outcome stands, and the mesh has only not written its end yet
            if entry.entry == "input" and self._progress.state == "input_required":
                self._answered(entry.seq, entry.body)


def _fence(data: bytes) -> int:
    """The fence of an assignment; 0 where it is none."""
    try:
        return msgspec.json.decode(data, type=Fenced).fence
    except BAD_BODY:
        return 0


class Fenced(msgspec.Struct, frozen=True):
    fence: int
