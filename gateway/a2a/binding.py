"""What both bindings do alike: the version a client speaks, requests as protobuf, and streams as server-sent events."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec
from a2a.types import a2a_pb2 as pb
from a2a.utils import errors
from a2a.utils.proto_utils import validate_proto_required_fields
from google.protobuf import json_format
from google.protobuf.message import Message

from bus.entries import BAD_BODY
from bus.errors import CerebroError, Unavailable
from gateway import decoding, strict
from gateway.a2a import words
from gateway.a2a.card import PROTOCOL
from gateway.a2a.faults import Fault, invalid
from gateway.call import Answer, Call
from schemas.problem import FieldError

MEDIA = "text/event-stream; charset=utf-8"
COMMENT = b": still here\n\n"
VERSION = "a2a-version"
OLD = "0.3"
"""What a client speaks that does not say (section 3.6.2)."""

M = TypeVar("M", bound=Message)
Updates = AsyncGenerator[pb.StreamResponse | None, None]


def check_version(call: Call) -> None:
    """Raise `Fault` unless the client speaks the version that we do; it says so in a header, or as a parameter."""
    query = {k.lower(): v for k, v in parse_qs(call.query.decode("latin-1"), max_num_fields=decoding.QUERY_FIELDS_MAX).items()}
    spoken = call.headers.get(VERSION) or query.get(VERSION, [""])[0] or OLD
    if ".".join(spoken.strip().split(".")[:2]) != PROTOCOL:
        message = f"A2A {spoken[:20]} is not spoken here; send `A2A-Version: {PROTOCOL}`"
        raise Fault(errors.VersionNotSupportedError, message, supported=PROTOCOL)


def plain(raw: bytes) -> Any:
    """A body as JSON values. Raises `Fault` for what is no JSON."""
    try:
        return strict.plain(raw)
    except BAD_BODY as e:
        raise Fault(errors.JSONParseError, f"the body is no JSON: {e}") from e


def check_storable(raw: bytes, value: Any) -> None:
    """Raise `Fault` for a body that could not be kept."""
    if faults := strict.unstorable(raw, value):
        raise Fault(errors.InvalidParamsError, "; ".join(f"{f.path}: {f.message}" for f in faults[:3]), faults)


def check_state(given: Any) -> None:
    """Raise `Fault` for a word that is no state of a task: protobuf would take it for none at all."""
    if isinstance(given, str) and given not in pb.TaskState.DESCRIPTOR.values_by_name:
        raise invalid(f"{given[:50]} is no state of a task", "status")


def request(value: Any, kind: type[M], **more: str) -> M:
    """JSON values as a request; fields that it does not know are passed over (section 5.7). Raises `Fault` for what does not fit."""
    if not isinstance(value, dict):
        raise invalid("must be an object", "params")
    try:
        parsed: M = json_format.ParseDict({**value, **more}, kind(), ignore_unknown_fields=True)
    except words.UNFIT as e:
        raise Fault(errors.InvalidParamsError, str(e)[:500]) from e
    try:
        validate_proto_required_fields(parsed)
    except errors.InvalidParamsError as e:
        fields = [FieldError(path=f["field"], message=f["message"]) for f in (e.data or {}).get("errors", ())]
        raise Fault(errors.InvalidParamsError, "; ".join(f"{f.path}: {f.message}" for f in fields), fields) from e
    return parsed


async def streamed(updates: Updates, wrapped: Callable[[Any], Any], told: Callable[[CerebroError], Any]) -> Answer:
    """The answer that streams these updates. What is refused before the first of them is raised here."""
    async for first in updates:
        if first is not None:
            return Answer(media=MEDIA, parts=_parts(first, updates, wrapped, told), headers={"x-accel-buffering": "no"})
    raise Unavailable("the gateway stops")


async def _parts(
    first: pb.StreamResponse, updates: Updates, wrapped: Callable[[Any], Any], told: Callable[[CerebroError], Any]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(updates):
        yield _event(wrapped(words.as_json(first)))
        try:
            async for update in updates:
                yield COMMENT if update is None else _event(wrapped(words.as_json(update)))
        except CerebroError as e:
            yield _event(told(e))


def _event(body: Any) -> bytes:
    return b"data: %s\n\n" % msgspec.json.encode(body)


def with_lists(told: pb.ListTasksResponse, *, artifacts: bool) -> dict[str, Any]:
    """A list as JSON with the fields that must always be there, and `artifacts` where they were asked for only (section 3.1.4)."""
    body = words.as_json(told)
    tasks = [{**task, "artifacts": task.get("artifacts", [])} if artifacts else task for task in body.get("tasks", [])]
    return {"tasks": tasks, "nextPageToken": told.next_page_token, "pageSize": told.page_size, "totalSize": told.total_size}
