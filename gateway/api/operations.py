"""For operators and their tools: health, probes, figures, documents."""

import asyncio
import time
from typing import Any

import msgspec

import bus.health
from bus.errors import CerebroError, Unavailable, not_found
from bus.subjects import ASK_AGENTS, ASK_TASKS, MEMORY_STATS
from gateway.call import Answer, Call, reply
from gateway.health import examine
from gateway.metrics import MEDIA
from gateway.version import VERSION
from schemas.members import AgentsView, AskAll
from schemas.memory import MemoryStats, StatsRequest
from schemas.tasks import TaskFilter, TaskStatus
from schemas.words import PAGE_LEN_MAX, Reply

UNDER_WAY: tuple[TaskStatus, ...] = ("submitted", "assigned", "running")


class DocsPath(msgspec.Struct, frozen=True):
    file: str


class Probe(Reply, frozen=True, kw_only=True):
    status: str


class StatsView(Reply, frozen=True, kw_only=True):
    """`GET /stats`. What could not be asked is null. `tasks_under_way`: by status, at most 200 of each are counted."""

    version: str
    uptime_s: float
    requests_open: int
    event_streams: int
    memory: MemoryStats | None
    agents: dict[str, str] | None
    tasks_under_way: dict[str, int] | None


async def health(call: Call) -> Answer:
    """Every component checked for real, each within 2 s: NATS by a durable write, the others by what they answer.

    200 when `healthy` or `degraded`, 503 when `unhealthy`.
    """
    view = await examine(call.gate)
    return reply(view, 503 if view.status == "unhealthy" else 200)


async def live(call: Call) -> Answer:
    """The gateway's event loop turns."""
    return reply(Probe(status="live" if not call.gate.closing.is_set() else "stopping"))


async def ready(call: Call) -> Answer:
    """The gateway can serve: a durable write on the bus works. 503 while it does not."""
    try:
        async with asyncio.timeout(call.settings.health_check_s):
            await bus.health.ready(call.bus)
    except TimeoutError:
        raise Unavailable(f"no durable write within {call.settings.health_check_s:g} s") from None
    return reply(Probe(status="ready"))


async def stats(call: Call) -> Answer:
    """Counts of what the mesh holds and does."""
    memory, agents, *tasks = await asyncio.gather(
        _figures(call), _agents(call), *(_quiet(call, ASK_TASKS, TaskFilter(status=s, limit=PAGE_LEN_MAX)) for s in UNDER_WAY)
    )
    view = StatsView(
        version=VERSION,
        uptime_s=round(time.monotonic() - call.gate.started, 3),
        requests_open=call.gate.requests,
        event_streams=call.gate.streams,
        memory=memory,
        agents={name: agent.status for name, agent in agents.agents.items()} if agents else None,
        tasks_under_way=None if None in tasks else {s: len(page.tasks) for s, page in zip(UNDER_WAY, tasks, strict=True)},
    )
    return reply(view)


async def metrics(call: Call) -> Answer:
    """Prometheus metrics under the names of the specification. Series of a part that is away are absent."""
    memory, agents = await asyncio.gather(_figures(call), _agents(call))
    return Answer(content=call.gate.metrics.text(memory, agents), media=MEDIA)


async def _figures(call: Call) -> MemoryStats | None:
    found: MemoryStats | None = await _quiet(call, MEMORY_STATS, StatsRequest())
    return found


async def _agents(call: Call) -> AgentsView | None:
    found: AgentsView | None = await _quiet(call, ASK_AGENTS, AskAll())
    return found


async def _quiet(call: Call, row: Any, body: Any) -> Any:
    """The answer, or None while its actor is away."""
    try:
        return await call.ask(row, body, call.settings.health_check_s)
    except CerebroError:
        return None


async def openapi_json(call: Call) -> Answer:
    """This API as an OpenAPI 3.1 document, made from the gateway's route table."""
    return call.gate.documents["openapi.json"]


async def asyncapi_json(call: Call) -> Answer:
    """The bus as an AsyncAPI 3.0 document, made from the table of subjects."""
    return call.gate.documents["asyncapi.json"]


async def docs(call: Call) -> Answer:
    """This documentation as a page; everything it loads is served from here."""
    return call.gate.documents["docs"]


async def docs_file(call: Call) -> Answer:
    """A file of the documentation page."""
    found = call.gate.documents.get(f"docs/{call.path.file}")
    if found is None:
        raise not_found(f"the documentation has no file {call.path.file}")
    return found
