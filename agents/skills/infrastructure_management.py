"""Infrastructure management: how streams, consumers, PostgreSQL, Redis and actors are, and what to do about it.

Streams and consumers are asked of JetStream itself, the databases of the memory actor, the actors of the mesh. The advice
follows from these facts alone, by the rules of `advise`.
"""

from typing import Any, Literal

import msgspec

from agents.skills.skill import Skill, SkillContext, Speech
from bus import streams, subjects
from bus.connection import Bus
from bus.errors import CerebroError
from schemas.members import AgentsView, AskAll
from schemas.memory import MemoryStats, StatsRequest
from schemas.terms import terms

CONSUMERS_MAX = 1_000
"""Most consumers of one stream that are looked at."""
LAG_MAX = 1_000
"""Entries that a durable consumer may be behind before that is worth a word."""
UNSETTLED_SHARE_MAX = 0.9
"""Share of its allowed unsettled deliveries that a consumer may have before it is stuck."""
FULL_SHARE = 0.8
"""Share of a size limit from which on space is short."""
UNEMBEDDED_MAX = 1_000
"""Episodes that may wait for their vector before that is worth a word."""

State = Literal["healthy", "degraded", "unhealthy", "unknown"]
Urgency = Literal["now", "soon", "note"]
URGENCIES: tuple[Urgency, ...] = ("now", "soon", "note")


class Nothing(msgspec.Struct, frozen=True):
    """There is nothing to say beforehand."""


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A stream as JetStream reports it; sizes in bytes, 0 as a limit for none. `error` where it is not there."""

    name: str
    messages: int = 0
    bytes: int = 0
    bytes_max: int = 0
    first_seq: int = 0
    last_seq: int = 0
    error: str | None = None


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer as JetStream reports it: `pending` not delivered yet, `unsettled` delivered and waiting for an outcome."""

    stream: str
    name: str
    durable: bool
    pending: int
    unsettled: int
    unsettled_max: int
    redelivered: int


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A database, as the memory actor found it just now; `unknown` where that does not answer."""

    status: State
    latency_ms: float | None = None
    detail: str = ""
    facts: dict[str, Any] = {}


class ActorState(msgspec.Struct, frozen=True, kw_only=True):
    """An actor: whether it is there, in how many instances."""

    status: Literal["active", "suspect", "gone", "missing"]
    instances: int = 0
    last_seen: str | None = None


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, about what, and how soon."""

    urgency: Urgency
    about: str
    finding: str
    action: str


class Infrastructure(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was found."""

    streams: list[Stream]
    consumers: list[Consumer]
    postgres: Part
    redis: Part
    actors: dict[str, ActorState]
    advice: list[Advice] = []


def advise(found: Infrastructure, dead_stream: str) -> list[Advice]:
    """What these facts call for, the most urgent first. `dead_stream` names the one that holds dead letters."""
    told = [
        *(a for s in found.streams for a in _about_stream(s, dead_stream)),
        *(a for c in found.consumers for a in _about_consumer(c)),
        *_about_part("postgres", found.postgres, "now", "start PostgreSQL and read its log; what is acknowledged waits in the log"),
        *_about_part("redis", found.redis, "soon", "start Redis; no answer is lost meanwhile, they are slower"),
        *_about_memory(found.postgres),
        *(a for name, state in found.actors.items() for a in _about_actor(name, state)),
    ]
    return sorted(told, key=lambda a: (URGENCIES.index(a.urgency), a.about, a.finding))


def _about_stream(s: Stream, dead_stream: str) -> list[Advice]:
    if s.error:
        return [_advice("now", f"stream {s.name}", s.error, "declare the streams again: restart the launcher or any actor's host")]
    if s.name == dead_stream and s.messages:
        finding = f"{s.messages} dead letters"
        return [_advice("soon", f"stream {s.name}", finding, "look at them with `cerebro dead list`, then redrive or delete them")]
    if s.bytes_max and s.bytes >= FULL_SHARE * s.bytes_max:
        finding = f"{s.bytes / s.bytes_max:.0%} of its {s.bytes_max} bytes are used"
        return [_advice("soon", f"stream {s.name}", finding, "raise its limit, or back up: the oldest entries go first when it is full")]
    return []


def _about_consumer(c: Consumer) -> list[Advice]:
    about, told = f"consumer {c.name} of {c.stream}", []
    if c.durable and c.pending > LAG_MAX:
        told.append(_advice("soon", about, f"{c.pending} entries behind", "see whether its actor runs and what it waits for"))
    if c.unsettled_max > 0 and c.unsettled >= UNSETTLED_SHARE_MAX * c.unsettled_max:
        finding = f"{c.unsettled} of at most {c.unsettled_max} deliveries have no outcome"
        told.append(_advice("now", about, finding, "its actor is stuck or overloaded: restart it, or add an instance"))
    if c.redelivered:
        told.append(_advice("note", about, f"{c.redelivered} deliveries were repeated", "look in its actor's log for what failed"))
    return told


def _about_part(name: str, part: Part, urgency: Urgency, action: str) -> list[Advice]:
    if part.status == "healthy":
        return []
    if part.status == "unknown":
        return [_advice("now", name, part.detail or "nobody knows", "start the memory actor: it is who knows")]
    return [_advice(urgency, name, f"{part.status}: {part.detail}", action)]


def _about_memory(postgres: Part) -> list[Advice]:
    waiting = postgres.facts.get("unembedded", 0)
    if waiting <= UNEMBEDDED_MAX:
        return []
    return [_advice("note", "memory", f"{waiting} episodes wait for their vector", "search by text finds them; give it time, or more CPU")]


def _about_actor(name: str, state: ActorState) -> list[Advice]:
    about = f"actor {name}"
    if state.status in {"gone", "missing"}:
        action = f"see whether its supervisor has quarantined it (GET /health), read its log, and start it: cerebro run {name}"
        return [_advice("now", about, f"{state.status}, last seen {state.last_seen or 'never'}", action)]
    if state.status == "suspect":
        return [_advice("note", about, "its heartbeats are late", "watch it: the machine may be overloaded")]
    return []


def _advice(urgency: Urgency, about: str, finding: str, action: str) -> Advice:
    return Advice(urgency=urgency, about=about, finding=finding, action=action)


# Asking


async def _stream(bus: Bus, name: str) -> Stream:
    info = await bus.api(f"STREAM.INFO.{name}", {})
    if "error" in info:
        return Stream(name=name, error=str(info["error"].get("description")))
    state, config = info["state"], info["config"]
    return Stream(
        name=name,
        messages=state["messages"],
        bytes=state["bytes"],
        bytes_max=max(0, config.get("max_bytes", 0)),
        first_seq=state["first_seq"],
        last_seq=state["last_seq"],
    )


async def _consumers(bus: Bus, stream: str) -> list[Consumer]:
    found: list[Consumer] = []
    while len(found) < CONSUMERS_MAX:
        page = await bus.api(f"CONSUMER.LIST.{stream}", {"offset": len(found)})
        rows = page.get("consumers") or []
        found += [_consumer(row) for row in rows]
        if not rows or len(found) >= page.get("total", 0):
            break
    return found


def _consumer(row: dict[str, Any]) -> Consumer:
    config = row["config"]
    return Consumer(
        stream=row["stream_name"],
        name=row["name"],
        durable=bool(config.get("durable_name")),
        pending=row.get("num_pending", 0),
        unsettled=row.get("num_ack_pending", 0),
        unsettled_max=config.get("max_ack_pending", 0) if config.get("ack_policy") == "explicit" else 0,
        redelivered=row.get("num_redelivered", 0),
    )


async def _databases(bus: Bus) -> tuple[Part, Part, ActorState]:
    """PostgreSQL and Redis as the memory actor found them, and that actor itself."""
    try:
        stats: MemoryStats = await bus.ask(subjects.MEMORY_STATS, StatsRequest())
    except CerebroError as e:
        unknown = Part(status="unknown", detail=f"the memory actor does not answer: {e}")
        return unknown, unknown, ActorState(status="missing")
    facts = {
        "episodes": stats.episodes,
        "concepts": stats.concepts,
        "lessons": stats.lessons,
        "unembedded": stats.unembedded,
        "persisted_seq": stats.persisted_seq,
        "connections": stats.db_connections,
        "storage_bytes": stats.storage_bytes,
    }
    return _part(stats, "postgresql", facts), _part(stats, "redis", {"working": stats.working}), ActorState(status="active", instances=1)


def _part(stats: MemoryStats, name: str, facts: dict[str, Any]) -> Part:
    health = stats.parts.get(name)
    if health is None:
        return Part(status="unknown", detail=f"memory says nothing of {name}", facts=facts)
    return Part(status=health.status, latency_ms=health.latency_ms, detail=health.detail, facts=facts)


async def _actors(context: SkillContext) -> dict[str, ActorState]:
    """Every agent of the mesh; the ones that come with the project also where they are not there."""
    found = {name: ActorState(status="missing") for name in sorted(context.builtin)}
    view: AgentsView = await context.bus.ask(subjects.ASK_AGENTS, AskAll())
    for name, agent in view.agents.items():
        if agent.status != "gone" or name in context.builtin:
            found[name] = ActorState(status=agent.status, instances=agent.instances, last_seen=agent.last_seen)
    return found


async def _run(context: SkillContext, _: Nothing) -> Infrastructure:
    names = [config["name"] for config in streams.declared(context.bus)]
    found = [await _stream(context.bus, name) for name in names]
    consumers = [c for s in found if not s.error for c in await _consumers(context.bus, s.name)]
    postgres, redis, memory = await _databases(context.bus)
    actors = {**await _actors(context), "memory": memory}
    seen = Infrastructure(streams=found, consumers=consumers, postgres=postgres, redis=redis, actors=actors)
    return msgspec.structs.replace(seen, advice=advise(seen, context.bus.stream(subjects.DEAD)))


ASKED = frozenset(
    terms("infrastructure streams stream consumers consumer nats postgresql postgres redis actors health status mesh servers")
)
"""Words of which a message must hold one before it is taken for a question about the infrastructure."""


def _hear(text: str) -> Nothing | None:
    return Nothing() if ASKED & set(terms(text)) else None


def _say(seen: Infrastructure) -> str:
    parts = [f"PostgreSQL: {seen.postgres.status}", f"Redis: {seen.redis.status}"]
    streams_ = [f"stream {s.name}: {s.messages} messages, {s.bytes} bytes" for s in seen.streams]
    actors = [f"{name}: {actor.status}" for name, actor in seen.actors.items()]
    advice = [f"{a.urgency}: {a.about}: {a.finding}; {a.action}" for a in seen.advice] or ["Nothing needs to be done."]
    return "\n".join([*parts, *streams_, *actors, *advice])


INFRASTRUCTURE_MANAGEMENT = Skill(
    name="infrastructure_management",
    description="Report how streams, consumers, PostgreSQL, Redis and actors are, and what to do about it.",
    input=Nothing,
    output=Infrastructure,
    run=_run,
    speech=Speech(wants="a question about the infrastructure", hear=_hear, say=_say),
)
