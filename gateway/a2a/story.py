"""One task as its client is told of it: folded from its entries in the log, the same at every gateway and after every restart.

What counts is what the mesh lets count: words under the current fence, by whom it was assigned to. The end is `task.finished` alone.
"""

from datetime import UTC, datetime
from typing import Any

from a2a.types import a2a_pb2 as pb
from google.protobuf import json_format

from gateway.a2a import words
from schemas.entry import Entry
from schemas.tasks import Artifact, Assignment, Finished, InputAnswer, Progress, Result, Submission

TERMINAL = frozenset({pb.TASK_STATE_COMPLETED, pb.TASK_STATE_FAILED, pb.TASK_STATE_CANCELED, pb.TASK_STATE_REJECTED})
ENDS: dict[str, int] = {
    "succeeded": pb.TASK_STATE_COMPLETED,
    "failed": pb.TASK_STATE_FAILED,
    "expired": pb.TASK_STATE_FAILED,
    "cancelled": pb.TASK_STATE_CANCELED,
}
REJECTIONS = frozenset({"rejected", "no_such_skill"})
"""Codes of failures that say that the task was not taken on: by the agent it went to, or by the mesh."""
OUTPUT = "output"
"""Id of the artifact that a result's output becomes."""


class Story:
    """`seq` is the last entry that was read; the status stands since `since`; `direct` is the message that answers the client by
    itself, where the agent gave one and nothing beside it: no artifact, no question.
    """

    def __init__(self) -> None:
        self._task: pb.Task | None = None
        self._fence = 0
        self._agent = ""
        self._fraction: float | None = None
        self._result: Result | None = None
        self._asked = False
        self.direct: pb.Message | None = None
        self.seq = 0
        self.since = datetime.min.replace(tzinfo=UTC)

    @property
    def known(self) -> bool:
        return self._task is not None

    @property
    def task(self) -> pb.Task:
        assert self._task is not None
        return self._task

    @property
    def ended(self) -> bool:
        return self.known and self.task.status.state in TERMINAL

    @property
    def settled(self) -> bool:
        """Whether a blocking call has its answer: the task has ended, or waits for its client."""
        return self.ended or (self.known and self.task.status.state == pb.TASK_STATE_INPUT_REQUIRED)

    def shown(self, history_len: int | None, *, artifacts: bool = True) -> pb.Task:
        """The task with so many of its latest messages (None: all)."""
        shown = pb.Task()
        shown.CopyFrom(self.task)
        if history_len is not None:
            del shown.history[: max(0, len(shown.history) - history_len)]
        if not artifacts:
            del shown.artifacts[:]
        return shown

    def apply(self, entry: Entry) -> list[pb.StreamResponse]:
        """Fold one entry; what a stream of this task is told of it. Entries are given in the order of the log."""
        self.seq = entry.seq
        if self._task is None:
            if isinstance(entry.body, Submission):
                self._begin(entry, entry.body)
            return []
        if self.ended:
            return []
        match entry.body:
            case Assignment() as body if body.fence == self._fence + 1:
                self._fence, self._agent, self._result = body.fence, entry.agent, None
                return self._status(pb.TASK_STATE_WORKING, entry)
            case Progress() as body if self._counts(entry, body.fence):
                return self._progress(entry, body)
            case InputAnswer() as body:
                return self._answered(entry, body)
            case Result() as body if self._counts(entry, body.fence):
                self._result = body
            case Finished() as body:
                return self._finished(entry, body)
        return []

    def _counts(self, entry: Entry, fence: int) -> bool:
        return fence == self._fence and entry.agent == self._agent and self._result is None

    def _begin(self, entry: Entry, body: Submission) -> None:
        ident = entry.tokens["task"]
        self._task = pb.Task(id=ident, context_id=body.context or ident)
        self._status(pb.TASK_STATE_SUBMITTED, entry)
        if words.MESSAGE in body.input:
            self._task.history.append(words.said_by_client(self._task, entry.event_id, body.input[words.MESSAGE]))

    def _progress(self, entry: Entry, body: Progress) -> list[pb.StreamResponse]:
        asks = body.state == "input_required"
        state = pb.TASK_STATE_INPUT_REQUIRED if asks else pb.TASK_STATE_WORKING
        self._asked = self._asked or asks
        updates = [self._artifact(body.artifact)] if body.artifact is not None else []
        repeated = state == self.task.status.state and body.message in {p.text for p in self.task.status.message.parts}
        said = [words.text_part(body.message)] if body.message and not repeated else []
        further = body.fraction is not None and body.fraction != self._fraction
        if state != self.task.status.state or said or further:
            self._fraction = body.fraction if further else self._fraction
            updates += self._status(state, entry, said)
        if further:
            updates[-1].status_update.metadata["fraction"] = body.fraction
        return updates

    def _answered(self, entry: Entry, body: InputAnswer) -> list[pb.StreamResponse]:
        waited = self.task.status.state == pb.TASK_STATE_INPUT_REQUIRED
        updates = self._status(pb.TASK_STATE_WORKING, entry) if waited else []
        self.task.history.append(words.said_by_client(self.task, entry.event_id, body.message))
        return updates

    def _finished(self, entry: Entry, body: Finished) -> list[pb.StreamResponse]:
        if body.error is not None:
            state = pb.TASK_STATE_REJECTED if body.error.code in REJECTIONS else ENDS[body.status]
            about = {"code": body.error.code, "retryable": body.error.retryable}
            return self._status(state, entry, [words.text_part(body.error.message or body.error.code)], about)
        said = words.parts_of((self._result.message or {}).get("parts")) if self._result else []
        updates = [] if body.output in (None, "", {}, []) else [self._output(body.output)]
        if said and not self._asked and not self.task.artifacts:
            self.direct = words.said_by_agent(self.task, entry.event_id, said)
        return updates + self._status(ENDS[body.status], entry, said)

    def _output(self, output: Any) -> pb.StreamResponse:
        part = {"text": output} if isinstance(output, str) else {"data": output}
        artifact = Artifact(artifact_id=OUTPUT, parts=[part], last=True)
        return self._artifact(artifact)

    def _artifact(self, told: Artifact) -> pb.StreamResponse:
        """Keep an artifact, or a further piece of one, and the event that tells of it."""
        piece = pb.Artifact(artifact_id=told.artifact_id, parts=words.parts_of(told.parts))
        known = next((a for a in self.task.artifacts if a.artifact_id == told.artifact_id), None)
        if known is None:
            self.task.artifacts.append(piece)
        elif told.append:
            known.parts.extend(piece.parts)
        else:
            known.CopyFrom(piece)
        event = pb.TaskArtifactUpdateEvent(
            task_id=self.task.id, context_id=self.task.context_id, artifact=piece, append=told.append and known is not None
        )
        event.last_chunk = told.last
        return pb.StreamResponse(artifact_update=event)

    def _status(
        self, state: int, entry: Entry, said: list[pb.Part] | None = None, about: dict[str, Any] | None = None
    ) -> list[pb.StreamResponse]:
        """The next status. What the one before it said becomes history."""
        task = self.task
        if task.status.HasField("message"):
            task.history.append(task.status.message)
        status = pb.TaskStatus(state=state)  # type: ignore[arg-type]
        status.timestamp.FromDatetime(entry.time)
        self.since = entry.time
        if said:
            status.message.CopyFrom(words.said_by_agent(task, entry.event_id, said))
            json_format.ParseDict(about or {}, status.message.metadata)
        task.status.CopyFrom(status)
        event = pb.TaskStatusUpdateEvent(task_id=task.id, context_id=task.context_id, status=status)
        return [pb.StreamResponse(status_update=event)]
