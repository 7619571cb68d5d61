"""The life of memories: consolidated, connected, handed on, forgotten."""

from typing import Annotated

import msgspec
from msgspec import Meta

from bus.subjects import MEMORY_CONSOLIDATE, MEMORY_CONTINUITY, MEMORY_FORGET, MEMORY_GRAPH
from gateway.call import Answer, Call, reply
from schemas.continuity import ContinuityRequest
from schemas.forgetting import ForgetRequest
from schemas.graph import GRAPH_DEPTH_MAX, GraphRequest
from schemas.words import EventId, PageSize, Token


class AgentPath(msgspec.Struct, frozen=True):
    agent_id: Token


class NodePath(msgspec.Struct, frozen=True):
    id: EventId


class GraphQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`depth`: most edges from the thing asked for; `limit`: most nodes."""

    depth: Annotated[int, Meta(ge=1, le=GRAPH_DEPTH_MAX)] = 2
    limit: PageSize = 50


async def consolidate(call: Call) -> Answer:
    """Group what is not consolidated yet and merge it into concepts, which keep their sources. Nothing is lost or hidden meanwhile."""
    return reply(await call.ask(MEMORY_CONSOLIDATE, call.body, call.settings.consolidate_s), 202)


async def graph(call: Call) -> Answer:
    """Nodes and typed edges around an episode, concept, lesson, task, proposal or agent, the nearest first."""
    return reply(await call.ask(MEMORY_GRAPH, GraphRequest(id=call.path.id, depth=call.query.depth, limit=call.query.limit)))


async def continuity(call: Call) -> Answer:
    """Open tasks, the last handoff packet, recent important episodes, working memory and affect of an agent."""
    return reply(await call.ask(MEMORY_CONTINUITY, ContinuityRequest(agent_id=call.path.agent_id)))


async def forget(call: Call) -> Answer:
    """Erase all that an agent, a session or a tag left: from the log, PostgreSQL, Redis and every concept. It cannot be undone."""
    return reply(await call.ask(MEMORY_FORGET, call.body, call.settings.forget_s))


async def forget_episode(call: Call) -> Answer:
    """Erase one episode everywhere. It cannot be undone."""
    return reply(await call.ask(MEMORY_FORGET, ForgetRequest(id=call.path.episode_id), call.settings.forget_s))
