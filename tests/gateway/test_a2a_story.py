"""The fold of a task into what its A2A client is told: what counts, what does not, and what each entry makes of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from a2a.types import a2a_pb2 as pb
from google.protobuf import json_format

from bus import subjects
from bus.subjects import Subject
from gateway.a2a.story import Story
from schemas.entry import Entry
from schemas.tasks import (
    Artifact,
    AssignedTask,
    Assignment,
    Failure,
    Finished,
    InputAnswer,
    Progress,
    Result,
    Submission,
    TaskError,
)


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = {"a": value}
    return value


HUGE: tuple[Any, ...] = (10**400, {"n": -(10**400)}, {"text": "x", "metadata": {"n": 10**400}}, nested(200))
BEGAN = datetime(2026, 11, 27, 12, tzinfo=UTC)
MESSAGE = {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": "sweep"}]}


class Told:
    """A log of one task: entries in a row, and what each of them told."""

    def __init__(self, **submission: Any) -> None:
        self.story = Story()
        self._seq = 0
        self.say(subjects.TASK_SUBMITTED, Submission(title="t", **submission))

    def say(self, row: Subject, body: Any, agent: str = "ops") -> list[pb.StreamResponse]:
        self._seq += 1
        tokens = {"task": "t-1"} | ({"agent": agent} if "{agent}" in row.pattern else {})
        at = BEGAN + timedelta(seconds=self._seq)
        entry = Entry(
            seq=self._seq, time=at, event_id=f"e-{self._seq}", subject=row.subject(**tokens), name=row.name, tokens=tokens, body=body
        )
        return self.story.apply(entry)

    def assign(self, fence: int = 1, agent: str = "ops") -> list[pb.StreamResponse]:
        task = AssignedTask(title="t", task_id="t-1")
        return self.say(subjects.TASK_ASSIGNED, Assignment(fence=fence, lease_s=10, task=task), agent)

    def progress(self, fence: int = 1, agent: str = "ops", **more: Any) -> list[pb.StreamResponse]:
        return self.say(subjects.TASK_PROGRESS, Progress(fence=fence, **more), agent)

    def result(self, fence: int = 1, agent: str = "ops", **more: Any) -> list[pb.StreamResponse]:
        return self.say(subjects.TASK_RESULT, Result(fence=fence, **more), agent)

    def finish(self, **more: Any) -> list[pb.StreamResponse]:
        return self.say(subjects.TASK_FINISHED, Finished(**more))

    @property
    def state(self) -> int:
        return self.story.task.status.state


class TestASubmission:
    def test_is_the_task_its_context_and_the_first_message(self):
        task = Told(context="talk", input={"message": MESSAGE}).story.task
        assert (task.id, task.context_id, task.status.state) == ("t-1", "talk", pb.TASK_STATE_SUBMITTED)
        assert [(m.message_id, m.task_id, m.context_id) for m in task.history] == [("m-1", "t-1", "talk")]
        assert task.status.timestamp.ToDatetime(UTC) == BEGAN + timedelta(seconds=1)

    def test_without_a_context_has_its_own_and_without_a_message_no_history(self):
        task = Told().story.task
        assert (task.context_id, len(task.history)) == ("t-1", 0)

    def test_whose_message_is_none_of_a2a_shows_it_as_it_is(self):
        for said, part in (
            ("hello", {"text": "hello", "mediaType": "text/plain"}),
            ({"a": 1}, {"data": {"a": 1}, "mediaType": "application/json"}),
        ):
            [message] = Told(input={"message": said}).story.task.history
            assert json_format.MessageToDict(message.parts[0]) == part

    def test_a_second_one_changes_nothing(self):
        told = Told(context="first")
        assert told.say(subjects.TASK_SUBMITTED, Submission(title="x", context="second")) == []
        assert told.story.task.context_id == "first"


class TestWhatCounts:
    def test_words_under_an_old_fence_or_by_another_do_not(self):
        told = Told()
        told.assign(1, "slow")
        told.assign(2, "quick")
        assert told.progress(1, "slow", message="still here") == []
        assert told.progress(2, "slow", message="me too") == []
        assert told.progress(3, "quick", message="soon") == []
        assert len(told.progress(2, "quick", message="mine")) == 1

    def test_nothing_does_after_the_end(self):
        told = Told()
        told.assign()
        told.finish(status="succeeded", agent="ops")
        assert told.progress(message="late") == []
        assert told.finish(status="failed", error=TaskError(code="x")) == []
        assert told.state == pb.TASK_STATE_COMPLETED

    def test_a_failure_that_is_tried_again_is_not_the_end(self):
        told = Told()
        told.assign()
        assert told.say(subjects.TASK_FAILED, Failure(fence=1, error=TaskError(code="x", retryable=True))) == []
        assert told.state == pb.TASK_STATE_WORKING

    def test_signs_of_life_tell_nothing(self):
        told = Told()
        told.assign()
        assert [told.progress() for _ in range(3)] == [[], [], []]
        assert len(told.progress(state="input_required")) == 1
        assert told.progress(state="input_required") == []
        assert [len(told.progress(state="input_required", message="Which?")) for _ in range(3)] == [1, 0, 0]
        assert len(told.progress(message="Which?")) == 1
        assert len(told.progress(state="input_required")) == 1
        assert [len(told.progress(state="input_required", fraction=f)) for f in (0.5, 0.5, 0.6)] == [1, 0, 1]


class TestTheEnd:
    def test_of_each_kind_has_its_state(self):
        for end, state in (
            ({"status": "succeeded"}, pb.TASK_STATE_COMPLETED),
            ({"status": "failed", "error": TaskError(code="broken", message="it broke")}, pb.TASK_STATE_FAILED),
            ({"status": "failed", "error": TaskError(code="rejected")}, pb.TASK_STATE_REJECTED),
            ({"status": "failed", "error": TaskError(code="no_such_skill")}, pb.TASK_STATE_REJECTED),
            ({"status": "expired", "error": TaskError(code="expired")}, pb.TASK_STATE_FAILED),
            ({"status": "cancelled", "error": TaskError(code="cancelled")}, pb.TASK_STATE_CANCELED),
        ):
            told = Told()
            told.finish(**end)
            assert told.state == state
            assert told.story.ended

    def test_without_output_has_no_artifact(self):
        for nothing in (None, "", {}, []):
            told = Told()
            assert len(told.finish(status="succeeded", output=nothing)) == 1
            assert not told.story.task.artifacts

    def test_that_is_false_or_zero_is_an_output(self):
        for output in (False, 0, 1.5, [1], {"a": None}):
            told = Told()
            told.finish(status="succeeded", output=output)
            assert json_format.MessageToDict(told.story.task.artifacts[0].parts[0].data) == output

    def test_by_a_message_alone_is_a_direct_reply(self):
        told = Told()
        told.assign()
        told.result(message={"parts": [{"text": "yes"}]})
        assert told.story.direct is None
        told.finish(status="succeeded")
        assert told.story.direct is not None
        assert told.story.direct.parts[0].text == told.story.task.status.message.parts[0].text == "yes"

    def test_by_a_message_after_an_artifact_or_a_question_is_none(self):
        for before in ({"artifact": Artifact(artifact_id="a", parts=[{"text": "x"}])}, {"state": "input_required"}):
            told = Told()
            told.assign()
            told.progress(**before)
            told.result(message={"parts": [{"text": "yes"}]})
            told.finish(status="succeeded")
            assert told.story.direct is None
            assert told.story.task.status.message.parts[0].text == "yes"


class TestHistory:
    def test_is_what_both_said_in_its_order(self):
        told = Told(input={"message": MESSAGE})
        told.assign()
        told.progress(state="input_required", message="Which?")
        answer = {**MESSAGE, "messageId": "m-2", "parts": [{"text": "that"}]}
        told.say(subjects.TASK_INPUT, InputAnswer(message=answer), "gateway")
        assert told.state == pb.TASK_STATE_WORKING
        told.progress(message="on it")
        told.finish(status="succeeded")
        assert [m.parts[0].text for m in told.story.task.history] == ["sweep", "Which?", "that", "on it"]

    def test_is_cut_to_its_latest(self):
        told = Told(input={"message": MESSAGE})
        told.assign()
        for word in "ab":
            told.progress(message=word)
        lengths = [len(told.story.shown(n).history) for n in (None, 0, 1, 2, 5)]
        assert lengths == [2, 0, 1, 2, 2]
        assert told.story.shown(1).history[0].parts[0].text == "a"


class TestArtifacts:
    def test_grow_by_pieces_and_are_replaced_as_a_whole(self):
        told = Told()
        told.assign()
        for text, append in (("a", False), ("b", True), ("c", True)):
            told.progress(artifact=Artifact(artifact_id="x", parts=[{"text": text}], append=append))
        assert [p.text for p in told.story.task.artifacts[0].parts] == ["a", "b", "c"]
        told.progress(artifact=Artifact(artifact_id="x", parts=[{"text": "new"}]))
        assert [p.text for p in told.story.task.artifacts[0].parts] == ["new"]

    def test_whose_parts_are_none_of_a2a_lose_nothing(self):
        told = Told()
        told.assign()
        odd = [{"text": 7}, {"filename": "x"}, {"raw": "not base64!"}, {"data": {"n": 2**60}}]
        [update] = told.progress(artifact=Artifact(artifact_id="x", parts=odd))
        kept = [json_format.MessageToDict(p)["data"] for p in update.artifact_update.artifact.parts]
        assert kept[:3] == odd[:3]
        assert kept[3] == {"n": 2**60}

    def test_are_left_out_where_nobody_wants_them(self):
        told = Told()
        told.finish(status="succeeded", output="x")
        assert not told.story.shown(None, artifacts=False).artifacts
        assert told.story.shown(None).artifacts


class TestWhatProtobufCannotHold:
    """A number beyond a double, or nesting beyond its depth: it is told as JSON text, and the task can be read."""

    @pytest.mark.parametrize("value", HUGE, ids=["number", "field", "metadata", "nested"])
    def test_said_by_a_client(self, value: Any) -> None:
        told = Told(input={"message": {"parts": [{"data": value}]}})
        told.say(subjects.TASK_INPUT, InputAnswer(message={"n": value}))
        assert [msgspec.json.decode(m.parts[0].text) for m in told.story.task.history] == [{"parts": [{"data": value}]}, {"n": value}]
        assert {m.parts[0].media_type for m in told.story.task.history} == {"application/json"}

    @pytest.mark.parametrize("value", HUGE, ids=["number", "field", "metadata", "nested"])
    def test_made_by_an_agent(self, value: Any) -> None:
        told = Told()
        told.assign()
        told.progress(artifact=Artifact(artifact_id="a", parts=[{"data": value}, value]))
        told.finish(status="succeeded", output=value)
        texts = [msgspec.json.decode(p.text) for artifact in told.story.task.artifacts for p in artifact.parts]
        assert texts == [{"data": value}, value, {"data": value}]
