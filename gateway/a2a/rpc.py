"""The JSON-RPC 2.0 binding (specification 1.0, section 9)."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from a2a.types import a2a_pb2 as pb
from a2a.utils import errors
from google.protobuf.message import Message

from bus.errors import CerebroError
from gateway.a2a import binding, faults, listing, operations, webhooks, words
from gateway.a2a.faults import Fault
from gateway.call import Answer, Call, reply

Ident = str | int | None
CALLS: dict[str, tuple[type[Message], Callable[[Call, Any], Awaitable[Message | None]]]] = {
    "SendMessage": (pb.SendMessageRequest, operations.send),
    "GetTask": (pb.GetTaskRequest, operations.get),
    "ListTasks": (pb.ListTasksRequest, listing.list_tasks),
    "CancelTask": (pb.CancelTaskRequest, operations.cancel),
    "CreateTaskPushNotificationConfig": (pb.TaskPushNotificationConfig, webhooks.create),
    "GetTaskPushNotificationConfig": (pb.GetTaskPushNotificationConfigRequest, webhooks.get),
    "ListTaskPushNotificationConfigs": (pb.ListTaskPushNotificationConfigsRequest, webhooks.list_all),
    "DeleteTaskPushNotificationConfig": (pb.DeleteTaskPushNotificationConfigRequest, webhooks.delete),
    "GetExtendedAgentCard": (pb.GetExtendedAgentCardRequest, operations.extended_card),
}
STREAMS: dict[str, tuple[type[Message], Callable[[Call, Any], binding.Updates]]] = {
    "SendStreamingMessage": (pb.SendMessageRequest, operations.stream),
    "SubscribeToTask": (pb.SubscribeToTaskRequest, operations.subscribe),
}


async def jsonrpc(call: Call) -> Answer:
    """A2A as JSON-RPC 2.0: one request, one answer; `SendStreamingMessage` and `SubscribeToTask` answer with server-sent events.

    Errors are told in the envelope, with status 200.
    """
    ident: Ident = None
    try:
        value = binding.plain(call.body)
        ident = _ident(value)
        method = _method(value)
        binding.check_storable(call.body, value)
        binding.check_version(call)
        return await _called(call, ident, method, value.get("params", {}))
    except CerebroError as e:
        return reply(faults.rpc_body(e, ident))


def _ident(value: Any) -> Ident:
    """The id of a request; null where it is none that an answer could bear."""
    ident = value.get("id") if isinstance(value, dict) else None
    return ident if isinstance(ident, str | int) and not isinstance(ident, bool) else None


def _method(value: Any) -> str:
    """The method of a well-formed request. Raises `Fault`."""
    if not isinstance(value, dict):
        raise Fault(errors.InvalidRequestError, "a request is an object; batches are not taken")
    if value.get("jsonrpc") != "2.0":
        raise Fault(errors.InvalidRequestError, '`jsonrpc` must be "2.0"')
    if "id" in value and value["id"] is not None and _ident(value) is None:
        raise Fault(errors.InvalidRequestError, "`id` must be a string or an integer")
    method = value.get("method")
    if not isinstance(method, str):
        raise Fault(errors.InvalidRequestError, "`method` must be a string")
    if method not in CALLS and method not in STREAMS:
        raise Fault(errors.MethodNotFoundError, f"there is no method {method[:100]}")
    return method


async def _called(call: Call, ident: Ident, method: str, params: Any) -> Answer:
    def enveloped(result: Any) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": ident, "result": result}

    if method in STREAMS:
        kind, run = STREAMS[method]
        updates = run(call, binding.request(params, kind))
        return await binding.streamed(updates, enveloped, lambda e: faults.rpc_body(e, ident))
    shape, operation = CALLS[method]
    request = binding.request(params, shape)
    if isinstance(request, pb.ListTasksRequest):
        binding.check_state(params.get("status"))
    told = await operation(call, request)
    if isinstance(told, pb.ListTasksResponse):
        assert isinstance(request, pb.ListTasksRequest)
        result: Any = binding.with_lists(told, artifacts=request.include_artifacts)
    else:
        result = words.as_json(told) if told is not None else None
    return Answer(content=msgspec.json.encode(enveloped(result)))
