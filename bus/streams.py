"""Every stream and bucket, in one place, declared on purpose: made where missing, changed where it differs.

MESH      the log. File storage, kept by age and size, republished as `log.>`, with atomic batches. No rollups and no schedules:
          by a header of one message they delete others, or publish as somebody else.
TIMERS    what the server says when its time has come; MESH takes it from there.
LESSONS   every lesson, for good; the server itself sources it from MESH.
DEAD      dead letters.
presence  bucket, 3 s to live, written lazily: who is a member now. In memory it would be gone after the server's restart.
affect    bucket: the last state of each agent; the server itself keeps it from MESH.
idempotency  bucket: the gateway's replies by `Idempotency-Key`.
a2a_push  bucket: where clients of A2A want to be told of their tasks; kept as long as the log.
keys      bucket: the API keys of the gateway, by name; hashes, no secrets.
"""

import asyncio
import logging
from typing import Any

from bus import subjects
from bus.connection import Bus
from bus.errors import CerebroError, Unavailable
from bus.ids import uuid7
from bus.settings import BusSettings

log = logging.getLogger("cerebro.bus")

PRESENCE_TTL_S = 3.0
"""A member that has not spoken for this long is gone."""
TIMERS_BYTES_MAX = 16 * 1024 * 1024
"""Largest size of the stream of timers: some ten thousand proposals that are open at a time. 16 MiB."""
DEAD_MSGS_MAX = 100_000
"""Most dead letters kept; the oldest go first."""
WEBHOOKS_MAX = 10_000
"""Most webhooks kept, those of ended tasks included; then no more are taken until the oldest are over age."""
MSG_BYTES_MAX = 1_048_576
"""Largest message of the log, headers included: 1 MiB."""
NS = 1_000_000_000
"""Nanoseconds in a second: JetStream's unit of time."""
STREAM_EXISTS = 10058
OPEN_TO_ROLLUPS = (
    "stream %s was made by an earlier build, with schedules, which the server never takes back: whoever may publish into it may also "
    "purge it (Nats-Rollup) and write under any of its subjects (Nats-Schedule), and no deadline comes from %s: proposals that nothing "
    "else ends lapse 5 s later. Start on a new data folder before you let others in"
)
NOT_BESIDE_SCHEDULES = ("allow_msg_schedules", "allow_rollup_hdrs", "sources")
"""What a stream that has schedules cannot be told."""
CONNECT_PAUSE_S = 0.25


def declared(bus: Bus) -> list[dict[str, Any]]:
    """The configuration of every stream, buckets included."""
    files = [_timers(bus), _mesh(bus), _lessons(bus), _dead(bus)]
    return [*files, _presence(bus), _affect(bus), _idempotency(bus), _a2a_push(bus), _keys(bus)]


def _mesh(bus: Bus) -> dict[str, Any]:
    s = bus.settings
    due = {"src": bus.wire(subjects.TIME_IS_UP.wildcard), "dest": bus.wire(subjects.DEADLINE.subject(proposal="{{wildcard(1)}}"))}
    return {
        "name": bus.stream(subjects.MESH),
        "subjects": [bus.wire(x) for x in subjects.MESH_SUBJECTS],
        "sources": [{"name": bus.stream(subjects.TIMERS), "subject_transforms": [due]}],
        "storage": "file",
        "retention": "limits",
        "discard": "old",
        "max_age": int(s.log_age_s_max * NS),
        "max_bytes": s.log_bytes_max,
        "max_msg_size": MSG_BYTES_MAX,
        "duplicate_window": int(s.duplicate_window_s * NS),
        "allow_direct": True,
        "allow_atomic": True,
        "allow_msg_schedules": False,
        "allow_rollup_hdrs": False,
        "republish": {"src": bus.wire(">"), "dest": bus.wire(f"{subjects.LOG_COPY}.>")},
    }


def _timers(bus: Bus) -> dict[str, Any]:
    return {
        "name": bus.stream(subjects.TIMERS),
        "subjects": [bus.wire(x) for x in subjects.TIMER_SUBJECTS],
        "storage": "file",
        "max_age": int(bus.settings.log_age_s_max * NS),
        "max_bytes": TIMERS_BYTES_MAX,
        "allow_msg_schedules": True,
        "allow_msg_ttl": True,
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
    return _bucket(bus, "presence", storage="file", persist_mode="async", max_age=ttl, duplicate_window=ttl, allow_rollup_hdrs=False)


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


def _must_be_made_anew(bus: Bus, known: dict[str, Any], config: dict[str, Any]) -> bool:
    """Whether it is a bucket that has what the server does not take back: no deletion; or the presence of an earlier version, which was
    in memory, or had markers of what expired, which allow every rollup.
    """
    stricter = known.get("deny_delete", False) > config.get("deny_delete", False)
    differs = known.get("storage") != config["storage"] or "subject_delete_marker_ttl" in known
    return bool(stricter or (differs and config["name"] == f"KV_{bus.stream('presence')}"))


async def _reconcile(bus: Bus, config: dict[str, Any]) -> None:
    name = config["name"]
    known = await bus.api(f"STREAM.INFO.{name}", {})
    if "error" not in known and _must_be_made_anew(bus, known["config"], config):
        await bus.api(f"STREAM.DELETE.{name}", {})  # the server does not change this; what is lost lasts a day, or is made again
        known = {"error": {}}
    if "error" not in known and known["config"].get("allow_msg_schedules", False) > config.get("allow_msg_schedules", False):
        log.warning(OPEN_TO_ROLLUPS, name, bus.stream(subjects.TIMERS))
        config = {k: v for k, v in config.items() if k not in NOT_BESIDE_SCHEDULES}
    if "error" in known:
        answer = await bus.api(f"STREAM.CREATE.{name}", {**config, "metadata": {"incarnation": uuid7()}})
    elif any(known["config"].get(k) != v for k, v in config.items()):
        answer = await bus.api(f"STREAM.UPDATE.{name}", {**known["config"], **config})
    else:
        return
    if "error" in answer and answer["error"].get("err_code") != STREAM_EXISTS:
        raise Unavailable(f"stream {name} could not be declared: {answer['error'].get('description')}")
