"""The HTTP+JSON binding (specification 1.0, section 11)."""

from typing import Any, TypeVar

import msgspec
from a2a.types import a2a_pb2 as pb
from a2a.utils.proto_utils import parse_params
from google.protobuf import json_format
from google.protobuf.message import Message
from starlette.datastructures import QueryParams

from bus.errors import bad_request
from gateway.a2a import binding, faults, listing, operations, webhooks, words
from gateway.call import Answer, Call, reply
from schemas.words import EventId, Token

M = TypeVar("M", bound=Message)


class A2ATaskPath(msgspec.Struct, frozen=True):
    id: Token


class WebhookPath(msgspec.Struct, frozen=True):
    id: Token
    config_id: EventId


def _told(message: Message) -> Answer:
    return reply(words.as_json(message))


def _body(call: Call) -> Any:
    value = binding.plain(call.body)
    binding.check_storable(call.body, value)
    return value


def _asked(call: Call, kind: type[M], **path: str) -> M:
    """A request that stands in the address. Raises `Refused` (400) for what does not fit."""
    parsed: M = kind()
    try:
        parse_params(QueryParams(call.query.decode("latin-1")), parsed)
    except (json_format.ParseError, ValueError) as e:
        raise bad_request(str(e)[:500]) from e
    for name, value in path.items():
        setattr(parsed, name, value)
    return parsed


async def send_message(call: Call) -> Answer:
    """Send a message to the mesh: a task that it became, or a message that answers it. `A2A-Version: 1.0` must be sent."""
    binding.check_version(call)
    return _told(await operations.send(call, binding.request(_body(call), pb.SendMessageRequest)))


async def send_streaming_message(call: Call) -> Answer:
    """Send a message, and hear what becomes of it as server-sent events."""
    binding.check_version(call)
    return await _streamed(operations.stream(call, binding.request(_body(call), pb.SendMessageRequest)))


async def _streamed(updates: binding.Updates) -> Answer:
    return await binding.streamed(updates, lambda update: update, faults.http_body)


async def get_task(call: Call) -> Answer:
    """A task as it stands. `historyLength`: how many of its latest messages."""
    binding.check_version(call)
    return _told(await operations.get(call, _asked(call, pb.GetTaskRequest, id=call.path.id)))


async def list_tasks(call: Call) -> Answer:
    """Tasks, the latest change first. `contextId`, `status`, `statusTimestampAfter`, `pageSize`, `pageToken`, `historyLength`,
    `includeArtifacts`.
    """
    binding.check_version(call)
    request = _asked(call, pb.ListTasksRequest)
    binding.check_state(QueryParams(call.query.decode("latin-1")).get("status"))
    return reply(binding.with_lists(await listing.list_tasks(call, request), artifacts=request.include_artifacts))


async def cancel_task(call: Call) -> Answer:
    """Ask for a task's end."""
    binding.check_version(call)
    return _told(await operations.cancel(call, pb.CancelTaskRequest(id=call.path.id)))


async def subscribe_to_task(call: Call) -> Answer:
    """The task, and then what happens to it, as server-sent events, until it ends."""
    binding.check_version(call)
    return await _streamed(operations.subscribe(call, pb.SubscribeToTaskRequest(id=call.path.id)))


async def subscribe_by_get(call: Call) -> Answer:
    """The same, as browsers' `EventSource` asks for it."""
    return await subscribe_to_task(call)


async def create_webhook(call: Call) -> Answer:
    """Be told of a task's updates by HTTP requests to an address of yours."""
    binding.check_version(call)
    request = binding.request(_body(call), pb.TaskPushNotificationConfig, taskId=call.path.id)
    return _told(await webhooks.create(call, request))


async def list_webhooks(call: Call) -> Answer:
    """The webhooks of a task."""
    binding.check_version(call)
    return _told(await webhooks.list_all(call, _asked(call, pb.ListTaskPushNotificationConfigsRequest, task_id=call.path.id)))


async def get_webhook(call: Call) -> Answer:
    """One webhook of a task."""
    binding.check_version(call)
    return _told(await webhooks.get(call, pb.GetTaskPushNotificationConfigRequest(task_id=call.path.id, id=call.path.config_id)))


async def delete_webhook(call: Call) -> Answer:
    """Tell a webhook of nothing any more."""
    binding.check_version(call)
    await webhooks.delete(call, pb.DeleteTaskPushNotificationConfigRequest(task_id=call.path.id, id=call.path.config_id))
    return reply({})


async def extended_agent_card(call: Call) -> Answer:
    """There is none: the public card says it all."""
    binding.check_version(call)
    return _told(await operations.extended_card(call, pb.GetExtendedAgentCardRequest()))
