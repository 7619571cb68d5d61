"""Every stream and bucket, in one place, declared on purpose: made where missing, changed where it differs.

MESH      the log. File storage, kept by age and size, republished as `log.>`, with scheduling and atomic batches.
LESSONS   every lesson, for good; the server itself sources it from MESH.
DEAD      dead letters.
presence  bucket, 3 s to live, written lazily: who is a member now. In memory it would be gone after the server's restart.
affect    bucket: the last state of each agent; the server itself keeps it from MESH.
idempotency  bucket: the gateway's replies by `Idempotency-Key`.
a2a_push  bucket: where clients of A2A want to be told of their tasks; kept as long as the log.
keys      bucket: the API keys of the gateway, by name; hashes, no secrets.
"""

import asyncio
from typing import Any

from bus import subjects
from bus.connection import Bus
from bus.errors import CerebroError, Unavailable
from bus.ids import uuid7
from bus.settings import BusSettings

PRESENCE_TTL_S = 3.0
"""A member that has not spoken for this long is gone."""
DEAD_MSGS_MAX = 100_000
"""Most dead letters kept; the oldest go first."""
WEBHOOKS_MAX = 10_000
"""Most webhooks kept, those of ended tasks included; then no more are taken until the oldest are over age."""
MSG_BYTES_MAX = 1_048_576
"""Largest message of the log, headers included: 1 MiB."""
NS = 1_000_000_000
"""Nanoseconds in a second: JetStream's unit of time."""
STREAM_EXISTS = 10058
CONNECT_PAUSE_S = 0.25


def declared(bus: Bus) -> list[dict[str, Any]]:
    """The configuration of every stream, buckets included."""
    return [_mesh(bus), _lessons(bus), _dead(bus), _presence(bus), _affect(bus), _idempotency(bus), _a2a_push(bus), _keys(bus)]


def _mesh(bus: Bus) -> dict[str, Any]:
    s = bus.settings
    return {
        "name": bus.stream(subjects.MESH),
        "subjects": [bus.wire(x) for x in subjects.MESH_SUBJECTS],
        "storage": "file",
        "retention": "limits",
        "discard": "old",
        "max_age": int(s.log_age_s_max * NS),
        "max_bytes": s.log_bytes_max,
        "max_msg_size": MSG_BYTES_MAX,
        "duplicate_window": int(s.duplicate_window_s * NS),
        "allow_direct": True,
        "allow_atomic": True,
        "allow_msg_schedules": True,
        "republish": {"src": bus.wire(">"), "dest": bus.wire(f"{subjects.LOG_COPY}.>")},
    }


def _lessons(bus: Bus) -> dict[str, Any]:
    source = {"name": bus.stream(subjects.MESH), "filter_subject": bus.wire(subjects.LESSON.wildcard)}
    return {"name": bus.stream(subjects.LESSONS), "storage": "file", "sources": [source], "allow_direct": True}


def _dead(bus: Bus) -> dict[str, Any]:
    return {
        "name": bus.stream(subjects.DEAD),
        "subjects": [bus.wire(x) for x in subjects.DEAD_SUBJECTS],
        "storage": "file",
        "max_msgs": DEAD_MSGS_MAX,
        "allow_direct": True,
    }


def _bucket(bus: Bus, name: str, **options: Any) -> dict[str, Any]:
    bucket = bus.stream(name)
    return {
        "name": f"KV_{bucket}",
        "subjects": [f"$KV.{bucket}.>"],
        "max_msgs_per_subject": 1,
        "discard": "new",
        "allow_rollup_hdrs": True,
        "deny_delete": True,  # but where forgetting must be able to erase a value
        "allow_direct": True,
        **options,
    }


def _presence(bus: Bus) -> dict[str, Any]:
    ttl = int(PRESENCE_TTL_S * NS)
    times = {"max_age": ttl, "duplicate_window": ttl, "allow_msg_ttl": True, "subject_delete_marker_ttl": NS}
    return _bucket(bus, "presence", storage="file", persist_mode="async", **times)


def _affect(bus: Bus) -> dict[str, Any]:
    bucket = bus.stream("affect")
    transform = {"src": bus.wire(subjects.AFFECT.wildcard), "dest": f"$KV.{bucket}.{{{{wildcard(1)}}}}"}
    source = {"name": bus.stream(subjects.MESH), "subject_transforms": [transform]}
    return _bucket(bus, "affect", storage="file", sources=[source], deny_delete=False)


def _idempotency(bus: Bus) -> dict[str, Any]:
    age = int(bus.settings.idempotency_s * NS)
    return _bucket(bus, "idempotency", storage="file", max_age=age, duplicate_window=min(age, 120 * NS), deny_delete=False)


def _a2a_push(bus: Bus) -> dict[str, Any]:
    age = int(bus.settings.log_age_s_max * NS)
    return _bucket(bus, "a2a_push", storage="file", max_age=age, max_msgs=WEBHOOKS_MAX, deny_delete=False)


def _keys(bus: Bus) -> dict[str, Any]:
    return _bucket(bus, "keys", storage="file")


async def declare(settings: BusSettings, wait_s: float = 10.0) -> None:
    """Make every stream and bucket as it should be. Waits up to `wait_s` for JetStream to answer. Raises `Unavailable`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    bus = await Bus.connect(settings, "declare", wait_s)
    try:
        while True:
            try:
                for config in declared(bus):
                    await _reconcile(bus, config)
                return
            except CerebroError:
                if loop.time() > deadline:
                    raise
                await asyncio.sleep(CONNECT_PAUSE_S)
    finally:
        await bus.close()


async def remake_affect(bus: Bus) -> None:
    """Throw the bucket `affect` away, states that were superseded included, and let the server make it from the log again."""
    config = _affect(bus)
    await bus.api(f"STREAM.DELETE.{config['name']}", {})
    await _reconcile(bus, config)


def _stricter(known: dict[str, Any], config: dict[str, Any]) -> bool:
    """Whether the bucket that is there refuses to have anything deleted, and should not."""
    return bool(known.get("deny_delete", False) > config.get("deny_delete", False))


def _of_the_moment(bus: Bus, known: dict[str, Any], config: dict[str, Any]) -> bool:
    """Whether it is the presence that an earlier version kept in memory."""
    return bool(config["name"] == f"KV_{bus.stream('presence')}" and known.get("storage") != config["storage"])


async def _reconcile(bus: Bus, config: dict[str, Any]) -> None:
    name = config["name"]
    known = await bus.api(f"STREAM.INFO.{name}", {})
    if "error" not in known and (_stricter(known["config"], config) or _of_the_moment(bus, known["config"], config)):
        await bus.api(f"STREAM.DELETE.{name}", {})  # the server does not change this; what is lost lasts a day, or is made again
        known = {"error": {}}
    if "error" in known:
        answer = await bus.api(f"STREAM.CREATE.{name}", {**config, "metadata": {"incarnation": uuid7()}})
    elif any(known["config"].get(k) != v for k, v in config.items()):
        answer = await bus.api(f"STREAM.UPDATE.{name}", {**known["config"], **config})
    else:
        return
    if "error" in answer and answer["error"].get("err_code") != STREAM_EXISTS:
        raise Unavailable(f"stream {name} could not be declared: {answer['error'].get('description')}")
