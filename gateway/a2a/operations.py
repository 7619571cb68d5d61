"""The operations of A2A (specification 1.0, section 3.1) as messages on the bus, the same for every binding.

Each takes a call and the request as protobuf, and returns protobuf or raises a `Fault`; `stream` and `subscribe` yield.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from a2a.types import a2a_pb2 as pb
from a2a.utils import errors

from bus.errors import Unavailable
from bus.ids import uuid7
from bus.subjects import TASK_CANCEL, TASK_INPUT, TASK_SUBMITTED
from gateway.a2a import reading, webhooks, words
from gateway.a2a.faults import Fault, invalid
from gateway.a2a.story import Story
from gateway.api.tasks import CANCEL_WAIT_S
from gateway.call import GATEWAY, Call
from schemas.tasks import Cancel, InputAnswer, Submission
from schemas.words import ID_LEN_MAX

SKILL = "skill"
"""The field of a message's metadata that names the skill it is for: as on the card (`nexus/debugging`), or without the agent."""


# Sending


async def send(call: Call, request: pb.SendMessageRequest) -> pb.SendMessageResponse:
    """Hand a message to the mesh, and wait for what becomes of it unless `returnImmediately` is set."""
    ident, seq = await _said(call, request)
    configuration = request.configuration
    if configuration.return_immediately:
        story = await reading.read(call, ident)
    else:
        story = await reading.until(call, ident, lambda s: s.seq >= seq and s.settled, call.settings.end_wait_s)
    if story.direct is not None and not request.message.task_id:
        return pb.SendMessageResponse(message=story.direct)
    return pb.SendMessageResponse(task=story.shown(history_len(configuration)))


async def stream(call: Call, request: pb.SendMessageRequest) -> AsyncGenerator[pb.StreamResponse | None, None]:
    """As `send`, told as it happens: a message alone, or the task and then its updates, until it ends or waits for its client."""
    _room_for_a_stream(call)
    ident, seq = await _said(call, request)
    if not request.message.task_id:
        early = await reading.until(call, ident, _told_of, call.a2a.direct_reply_s)
        if early.direct is not None:
            yield pb.StreamResponse(message=early.direct)
            return
    async with aclosing(reading.updates(call, ident, seq, history_len(request.configuration), lambda s: s.settled)) as updates:
        async for update in updates:
            yield update


def _told_of(story: Story) -> bool:
    """Whether it is clear how the agent answers: by a task that its client sees at work, or by its end."""
    return story.settled or bool(story.known and story.task.artifacts)


async def _said(call: Call, request: pb.SendMessageRequest) -> tuple[str, int]:
    """The task that the message became, or went to, and its entry in the log."""
    message = request.message
    history_len(request.configuration)  # whatever is wrong is told before anything is done
    _check_parts(call, message)
    hook = request.configuration.task_push_notification_config if request.configuration.HasField("task_push_notification_config") else None
    if hook is not None:
        webhooks.check(call, hook)
    ident, seq = await (_answered(call, message) if message.task_id else _submitted(call, message))
    if hook is not None:
        await webhooks.put(call, ident, hook, after_seq=seq)
    return ident, seq


def _check_parts(call: Call, message: pb.Message) -> None:
    for i, part in enumerate(message.parts):
        if not part.WhichOneof("content"):
            raise invalid("has neither text, raw, url nor data", f"message.parts[{i}]")
        if part.media_type and not _taken(part.media_type, call.a2a.input_modes):
            taken = ", ".join(call.a2a.input_modes)
            raise Fault(errors.ContentTypeNotSupportedError, f"message.parts[{i}] is {part.media_type[:100]}; taken are {taken}")


def _taken(media_type: str, ranges: list[str]) -> bool:
    """Whether a media type is within one of these ranges (`*/*`, `text/*`, `text/plain`)."""
    media = media_type.partition(";")[0].strip().lower()
    major = media.partition("/")[0]
    return not {"*/*", f"{major}/*", media}.isdisjoint(r.lower() for r in ranges)


async def _submitted(call: Call, message: pb.Message) -> tuple[str, int]:
    ident = call.ids.new()
    title, description = words.title_and_description(message)
    context = message.context_id or uuid7()
    if len(context) > ID_LEN_MAX:
        raise invalid(f"has more than {ID_LEN_MAX} characters", "message.contextId")
    named = pb.Message()
    named.CopyFrom(message)
    named.context_id, named.task_id = context, ident
    skill = _skill(call, message)
    try:
        submission = Submission(
            title=title,
            description=description,
            required_skills=[skill] if skill else [],
            input={**words.fields_of(message), words.MESSAGE: words.as_json(named)},
            timeout_s=call.a2a.task_timeout_s,
            context=context,
        )
    except ValueError as e:
        raise invalid(str(e), "message") from e
    stored = await call.bus.publish(TASK_SUBMITTED, submission, msg_id=ident, headers=call.via, task=ident)
    return ident, stored.seq


def _skill(call: Call, message: pb.Message) -> str:
    if SKILL not in message.metadata:
        return call.a2a.skill
    named = message.metadata[SKILL]
    skill = named.rpartition("/")[2] if isinstance(named, str) else ""
    if not skill:
        raise invalid("must be the name of a skill", f"message.metadata.{SKILL}")
    return skill


async def _answered(call: Call, message: pb.Message) -> tuple[str, int]:
    ident = message.task_id
    story = await reading.read(call, ident)
    if message.context_id not in {"", story.task.context_id}:
        raise invalid(f"is not the context of task {ident}", "message.contextId")
    if story.ended:
        raise _ended(errors.UnsupportedOperationError, story)
    named = pb.Message()
    named.CopyFrom(message)
    named.context_id = story.task.context_id
    answer = InputAnswer(message=words.as_json(named))
    stored = await call.bus.publish(TASK_INPUT, answer, msg_id=call.ids.new(), headers=call.via, task=ident, agent=GATEWAY)
    return ident, stored.seq


def history_len(request: pb.SendMessageConfiguration | pb.GetTaskRequest | pb.ListTasksRequest) -> int | None:
    """How many messages the client wants; None: all. Raises `Fault` for fewer than none."""
    if not request.HasField("history_length"):
        return None
    if request.history_length < 0:
        raise invalid("must be 0 or more", "historyLength")
    return request.history_length


# Reading


async def get(call: Call, request: pb.GetTaskRequest) -> pb.Task:
    """A task as it stands."""
    story = await reading.read(call, request.id)
    return story.shown(history_len(request))


async def cancel(call: Call, request: pb.CancelTaskRequest) -> pb.Task:
    """Ask for a task's end, and give it a moment to come."""
    story = await reading.read(call, request.id)
    if story.ended:
        raise _ended(errors.TaskNotCancelableError, story)
    body = Cancel(reason="cancelled over A2A")
    await call.bus.publish(TASK_CANCEL, body, headers=call.via, task=request.id, agent=GATEWAY)
    story = await reading.until(call, request.id, lambda s: s.ended, CANCEL_WAIT_S)
    if story.ended and story.task.status.state != pb.TASK_STATE_CANCELED:
        raise _ended(errors.TaskNotCancelableError, story)
    return story.task


async def subscribe(call: Call, request: pb.SubscribeToTaskRequest) -> AsyncGenerator[pb.StreamResponse | None, None]:
    """The task as it stands, and what happens to it from then on until it ends: nothing is missed between the two."""
    _room_for_a_stream(call)
    story = await reading.read(call, request.id)
    if story.ended:
        raise _ended(errors.UnsupportedOperationError, story)
    async with aclosing(reading.updates(call, request.id, story.seq, None, lambda s: s.ended)) as updates:
        async for update in updates:
            yield update


def _ended(kind: type[errors.A2AError], story: Story) -> Fault:
    task = story.task
    return Fault(kind, f"task {task.id} has ended: {pb.TaskState.Name(task.status.state)}", taskId=task.id)


def _room_for_a_stream(call: Call) -> None:
    if call.gate.streams >= call.settings.streams_max:
        raise Unavailable(f"{call.gate.streams} event streams are open; no more are served")


async def extended_card(call: Call, request: pb.GetExtendedAgentCardRequest) -> pb.AgentCard:  # noqa: ARG001 - as the others
    """There is none: the public card says it all."""
    raise Fault(errors.UnsupportedOperationError, "there is no extended agent card; see /.well-known/agent-card.json")
