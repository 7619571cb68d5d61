"""The health of the whole: each component checked for real and at the same time, each within its own time.

`unhealthy` when what everything rests on is gone: NATS, PostgreSQL, the episodes, or every built-in agent.
`degraded` when the mesh works with less: one agent missing, Redis gone, embeddings behind.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal

import bus.health
from bus.errors import CerebroError
from bus.subjects import ASK_AGENTS, MEMORY_STATS
from gateway.call import Gate
from gateway.version import VERSION
from schemas.members import AgentsView, AskAll
from schemas.memory import MemoryStats, PartHealth, StatsRequest
from schemas.words import Reply, rfc3339

Status = Literal["healthy", "degraded", "unhealthy"]
BUILT_IN = ("nexus", "aria", "ricardo")
"""The agents that come with Cerebro; without one the mesh is degraded."""
STORES = ("postgresql", "pgvector", "redis")
MEMORIES = (
    "working_memory",
    "episodic_memory",
    "semantic_memory",
    "consolidation_engine",
    "continuity_manager",
    "integrated_graph_memory",
)
VITAL = ("nats", "postgresql", "episodic_memory", "neural_mesh")


class ComponentHealth(Reply, frozen=True, kw_only=True):
    """One component, checked just now."""

    status: Status
    latency_ms: float
    detail: str = ""


class Components(Reply, frozen=True, kw_only=True):
    """Every component."""

    nats: ComponentHealth
    postgresql: ComponentHealth
    pgvector: ComponentHealth
    redis: ComponentHealth
    agents: dict[str, ComponentHealth]
    memory_components: dict[str, ComponentHealth]


class HealthView(Reply, frozen=True, kw_only=True):
    """`GET /health`."""

    status: Literal["healthy", "degraded", "unhealthy"]
    timestamp: str
    version: str
    components: Components


async def examine(gate: Gate) -> HealthView:
    """Check everything now. Never raises for a part that is away: that is what it tells."""
    nats, (stats, memory_ms, memory_error), (agents, agents_ms, agents_error) = await asyncio.gather(
        _nats(gate), _timed(gate, lambda: _stats(gate)), _timed(gate, lambda: _agents(gate))
    )
    parts = dict(_memory_parts(stats, memory_ms, memory_error))
    members = _members(agents, agents_ms, agents_error)
    parts["neural_mesh"] = _mesh(members, agents_ms)
    checked = {"nats": nats, **parts, **{f"agent {name}": health for name, health in members.items() if name in BUILT_IN}}
    return HealthView(
        status=_overall(checked),
        timestamp=rfc3339(datetime.now(UTC)),
        version=VERSION,
        components=Components(
            nats=nats,
            postgresql=parts.pop("postgresql"),
            pgvector=parts.pop("pgvector"),
            redis=parts.pop("redis"),
            agents=members,
            memory_components=parts,
        ),
    )


def _overall(checked: dict[str, ComponentHealth]) -> Literal["healthy", "degraded", "unhealthy"]:
    if any(checked[name].status == "unhealthy" for name in VITAL):
        return "unhealthy"
    return "degraded" if any(c.status in {"degraded", "unhealthy"} for c in checked.values()) else "healthy"


async def _timed(gate: Gate, ask: Callable[[], Awaitable[Any]]) -> tuple[Any, float, str]:
    """The answer (or None), how long it took in milliseconds, and what went wrong."""
    start = time.perf_counter()
    answer, error = None, ""
    try:
        async with asyncio.timeout(gate.settings.health_check_s):
            answer = await ask()
    except CerebroError as e:
        error = str(e)
    except TimeoutError:
        error = f"no answer within {gate.settings.health_check_s:g} s"
    return answer, round((time.perf_counter() - start) * 1000, 3), error


async def _nats(gate: Gate) -> ComponentHealth:
    health, latency_ms, error = await _timed(gate, lambda: bus.health.check(gate.bus))
    return _component(health) if health else ComponentHealth(status="unhealthy", latency_ms=latency_ms, detail=error)


async def _stats(gate: Gate) -> MemoryStats:
    stats: MemoryStats = await gate.bus.ask(MEMORY_STATS, StatsRequest(), timeout_s=gate.settings.health_check_s)
    return stats


async def _agents(gate: Gate) -> AgentsView:
    agents: AgentsView = await gate.bus.ask(ASK_AGENTS, AskAll(), timeout_s=gate.settings.health_check_s)
    return agents


def _component(part: PartHealth) -> ComponentHealth:
    return ComponentHealth(status=part.status, latency_ms=part.latency_ms, detail=part.detail)


def _memory_parts(stats: MemoryStats | None, latency_ms: float, error: str) -> Iterator[tuple[str, ComponentHealth]]:
    """What the memory actor says of each of its parts; all of them are unknown while it is away."""
    known = stats.parts if stats else {}
    detail = f"the memory actor does not say: {error}" if error else "the memory actor does not speak of it"
    for name in (*STORES, *MEMORIES):
        if name in known:
            yield name, _component(known[name])
        else:
            yield name, ComponentHealth(status="unhealthy", latency_ms=latency_ms, detail=detail)
    for name, part in known.items():
        if name not in STORES and name not in MEMORIES:
            yield name, _component(part)


def _members(agents: AgentsView | None, latency_ms: float, error: str) -> dict[str, ComponentHealth]:
    """Each agent that is listed, and each built-in one that should be. An external agent that has gone is free to."""
    known = agents.agents if agents else {}
    found = {}
    for name in (*BUILT_IN, *sorted(set(known) - set(BUILT_IN))):
        agent = known.get(name)
        if agent is None:
            health = ComponentHealth(status="unhealthy", latency_ms=latency_ms, detail=error or "has not joined the mesh")
        else:
            status: Status = {"active": "healthy", "suspect": "degraded", "gone": "unhealthy"}[agent.status]  # type: ignore[assignment]
            health = ComponentHealth(status=status, latency_ms=latency_ms, detail=f"{agent.status}, last seen {agent.last_seen}")
        found[name] = health
    return found


def _mesh(members: dict[str, ComponentHealth], latency_ms: float) -> ComponentHealth:
    """The mesh as a whole: consensus of three needs two."""
    there = [name for name in BUILT_IN if members[name].status != "unhealthy"]
    status: Status = "healthy" if len(there) == len(BUILT_IN) else "degraded" if there else "unhealthy"
    return ComponentHealth(status=status, latency_ms=latency_ms, detail=f"{len(there)} of {len(BUILT_IN)} built-in agents are there")
