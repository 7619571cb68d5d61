"""Webhooks as their clients see them (specification 1.0, sections 3.1.7 to 3.1.10), kept in the bucket `a2a_push`."""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import nats.errors
from a2a.types import a2a_pb2 as pb
from a2a.utils import errors
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from bus.connection import Bus
from bus.entries import BAD_BODY, decode
from bus.errors import Unavailable
from bus.ids import uuid7
from gateway.a2a import post, reading
from gateway.a2a.faults import Fault, invalid
from gateway.call import Call
from schemas.webhooks import Webhook
from schemas.words import ID_LEN_MAX

log = logging.getLogger("cerebro.gateway")

BUCKET = "a2a_push"
URL_LEN_MAX = 2_000
"""Longest address of a webhook, in characters."""
SECRET_LEN_MAX = 8_000
"""Longest token, scheme or credentials, in characters."""


def key_of(task_id: str, ident: str) -> str:
    """The key of a webhook: its task's, then its own, whose id may hold any character."""
    return f"{task_id}.{hashlib.sha256(ident.encode()).hexdigest()[:32]}"


# The operations


async def create(call: Call, request: pb.TaskPushNotificationConfig) -> pb.TaskPushNotificationConfig:
    """Tell a webhook of a task from now on; the same id again takes the place of the one before."""
    check(call, request)
    story = await reading.read(call, request.task_id)
    return await put(call, request.task_id, request, after_seq=story.seq, over=story.ended)


async def get(call: Call, request: pb.GetTaskPushNotificationConfigRequest) -> pb.TaskPushNotificationConfig:
    """One webhook of a task."""
    await reading.read(call, request.task_id)
    found = await load(call.bus, key_of(request.task_id, request.id))
    if found is None:
        message = f"task {request.task_id} has no webhook {request.id[:200]}"
        raise Fault(errors.TaskNotFoundError, message, taskId=request.task_id, id=request.id[:200])
    return _shown(found)


async def list_all(call: Call, request: pb.ListTaskPushNotificationConfigsRequest) -> pb.ListTaskPushNotificationConfigsResponse:
    """All webhooks of a task, at once: there are few."""
    await reading.read(call, request.task_id)
    found = [await load(call.bus, key) for key in await keys(call.bus, request.task_id)]
    shown = sorted((_shown(hook) for hook in found if hook is not None), key=lambda c: c.id)
    return pb.ListTaskPushNotificationConfigsResponse(configs=shown)


async def delete(call: Call, request: pb.DeleteTaskPushNotificationConfigRequest) -> None:
    """Tell it of nothing any more. Deleting what is not there is done already."""
    await reading.read(call, request.task_id)
    await erase(call.bus, key_of(request.task_id, request.id))
    call.gate.webhooks_changed.set()


def check(call: Call, hook: pb.TaskPushNotificationConfig) -> None:
    """Raise `Fault` for a webhook that nothing could, or should, be sent to."""
    if len(hook.url) > URL_LEN_MAX:
        raise invalid(f"has more than {URL_LEN_MAX} characters", "url")
    if fault := post.address_fault(hook.url, call.a2a, call.settings):
        raise invalid(fault, "url")
    if len(hook.id) > ID_LEN_MAX or not hook.id.isprintable():
        raise invalid(f"must have at most {ID_LEN_MAX} printable characters", "id")
    secrets = {"token": hook.token, "authentication.scheme": hook.authentication.scheme}
    for field, value in {**secrets, "authentication.credentials": hook.authentication.credentials}.items():
        if len(value) > SECRET_LEN_MAX or not (value.isascii() and value.isprintable()):
            raise invalid(f"must be one line of at most {SECRET_LEN_MAX} ASCII characters", field)


async def put(
    call: Call, task_id: str, hook: pb.TaskPushNotificationConfig, *, after_seq: int, over: bool = False
) -> pb.TaskPushNotificationConfig:
    """Keep a webhook that was checked. Raises `Unavailable` where there are too many."""
    if not over and call.gate.webhooks_open >= call.a2a.push_open_max:
        raise Unavailable(f"{call.gate.webhooks_open} webhooks of running tasks are served; no more are taken")
    ident = hook.id or uuid7()
    others = set(await keys(call.bus, task_id)) - {key_of(task_id, ident)}
    if len(others) >= call.a2a.push_per_task_max:
        raise invalid(f"task {task_id} has {len(others)} webhooks; no more are taken", "id")
    kept = Webhook(
        task_id=task_id,
        id=ident,
        url=hook.url,
        token=hook.token,
        scheme=hook.authentication.scheme,
        credentials=hook.authentication.credentials,
        after_seq=after_seq,
        over=over,
    )
    await store(call.bus, kept)
    call.gate.webhooks_changed.set()
    return _shown(kept)


def _shown(hook: Webhook) -> pb.TaskPushNotificationConfig:
    shown = pb.TaskPushNotificationConfig(task_id=hook.task_id, id=hook.id, url=hook.url, token=hook.token)
    if hook.scheme:
        shown.authentication.CopyFrom(pb.AuthenticationInfo(scheme=hook.scheme, credentials=hook.credentials))
    return shown


# The bucket


async def keys(bus: Bus, task_id: str = "*") -> list[str]:
    """The keys of all webhooks of a task, or of all tasks."""
    head = _subject(bus, "")
    info = await bus.api(f"STREAM.INFO.{_stream(bus)}", {"subjects_filter": _subject(bus, f"{task_id}.*")})
    if "error" in info:
        raise Unavailable(f"the webhooks cannot be reached: {info['error'].get('description')}")
    return [subject.removeprefix(head) for subject in info["state"].get("subjects") or ()]


async def load(bus: Bus, key: str) -> Webhook | None:
    """The webhook of a key, None where there is none (any more), or something that somebody put there by hand."""
    with _reaching():
        try:
            found: KeyValue.Entry = await (await bus.kv(BUCKET)).get(key)
        except KeyNotFoundError:
            return None
    try:
        return decode(Webhook, found.value) if found.value else None
    except BAD_BODY as e:
        log.warning("webhook %s is none: %s", key, e)
        return None


async def store(bus: Bus, hook: Webhook) -> None:
    with _reaching():
        await (await bus.kv(BUCKET)).put(key_of(hook.task_id, hook.id), msgspec.json.encode(hook))


async def erase(bus: Bus, key: str) -> None:
    """Remove a webhook with what is secret in it; no marker stays."""
    answer = await bus.api(f"STREAM.PURGE.{_stream(bus)}", {"filter": _subject(bus, key)})
    if "error" in answer:
        raise Unavailable(f"the webhook cannot be removed: {answer['error'].get('description')}")


def _stream(bus: Bus) -> str:
    return f"KV_{bus.stream(BUCKET)}"


def _subject(bus: Bus, key: str) -> str:
    return f"$KV.{bus.stream(BUCKET)}.{key}"


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except (nats.errors.Error, OSError, TimeoutError) as e:
        raise Unavailable(f"the webhooks cannot be reached: {e}") from e
