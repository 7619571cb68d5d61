"""Cross-reference analysis: how episodes, concepts, lessons, tasks and proposals hang together.

From an id, or from what a query recalls, the graph of memory is followed; to its edges come a shared session and a shared tag.
Paths lead from where the search began to what was reached.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from agents.skills.skill import Skill, SkillContext, SkillError, bad_input, is_echo
from bus import subjects
from bus.errors import CerebroError, Refused
from schemas.graph import EdgeKind, GraphEdge, GraphNode, GraphRequest, GraphView
from schemas.memory import QUERY_LEN_MAX, EpisodeView, RecentFilter
from schemas.words import EventId

NODES_MAX = 60
"""Most nodes of one answer."""
RECALLED_MAX = 20
"""Most things that a query, or what stands at the start, recalls."""
SESSION_MAX = 200
"""Most recent episodes among which the session of the start is looked for."""
STEPS_MAX = 3
"""Most references that are followed one after the other."""
PATHS_MAX = 100
"""Most paths of one answer."""
TAG_SHARE_MAX = 8
"""A tag that more of the nodes have than this says nothing about how they hang together."""
ASK_S = 2.0
"""Longest wait for one answer of memory."""

Kind = EdgeKind | Literal["same_session", "same_tag"]
STRENGTH: dict[str, int] = {
    "contradicts": 0,
    "cross_reference": 1,
    "derived_from": 2,
    "caused": 3,
    "informed": 4,
    "mentions": 5,
    "same_session": 6,
    "same_tag": 7,
}
"""Kinds of reference, the strongest first: it is preferred where two nodes have several. Those that lead to agents are left out."""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Where to begin: with one thing by id, or with what a query recalls."""

    id: EventId | None = None
    query: Annotated[str, Meta(min_length=1, max_length=QUERY_LEN_MAX)] | None = None


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """An episode, concept, lesson, task or proposal. `start` marks those where the search began."""

    id: str
    kind: str
    text: str
    agent_id: str | None = None
    timestamp: str | None = None
    start: bool = False


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """A reference from one node to another; `detail` names the tag or session that they share."""

    source: str
    target: str
    kind: Kind
    detail: str = ""


class References(msgspec.Struct, frozen=True, kw_only=True):
    """The nodes, the references between them, and for each node reached the shortest way to it from a start."""

    nodes: list[Node]
    edges: list[Edge]
    paths: list[list[str]]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One thing with what it may share with others."""

    node: Node
    tags: tuple[str, ...] = ()
    session: str | None = None


def analyse(found: Sequence[Found], drawn: Iterable[GraphEdge]) -> References:
    """How these hang together, given edges of the graph, and the paths from the starts."""
    edges = [*_direct({f.node.id for f in found}, drawn), *_shared(found)]
    ends = [f.node.id for f in found if f.node.start]
    return References(nodes=[f.node for f in found], edges=edges, paths=paths(ends, edges)[:PATHS_MAX])


def _direct(known: set[str], drawn: Iterable[GraphEdge]) -> list[Edge]:
    """The strongest edge of each pair."""
    best: dict[tuple[str, str], EdgeKind] = {}
    for edge in sorted((e for e in drawn if e.kind in STRENGTH), key=lambda e: (STRENGTH[e.kind], e.stream_seq)):
        if {edge.source, edge.target} <= known:
            best.setdefault((edge.source, edge.target), edge.kind)
    return [Edge(source=source, target=target, kind=kind) for (source, target), kind in best.items()]


def _shared(found: Sequence[Found]) -> Iterable[Edge]:
    """Neighbours within a session, and pairs with a tag that not everything has."""
    for session in sorted({f.session for f in found if f.session}):
        row = sorted((f.node for f in found if f.session == session), key=lambda n: (n.timestamp or "", n.id))
        yield from (Edge(source=a.id, target=b.id, kind="same_session", detail=session) for a, b in pairwise(row))
    for tag in sorted({tag for f in found for tag in f.tags}):
        having = [f.node.id for f in found if tag in f.tags]
        if len(having) <= TAG_SHARE_MAX:
            yield from (Edge(source=a, target=b, kind="same_tag", detail=tag) for a, b in combinations(having, 2))


def paths(starts: Sequence[str], edges: Sequence[Edge]) -> list[list[str]]:
    """The shortest way from a start to each node that is reached, in either direction of a reference; stronger ones first."""
    near: dict[str, list[str]] = {}
    for edge in sorted(edges, key=lambda e: (STRENGTH[e.kind], e.source, e.target)):
        near.setdefault(edge.source, []).append(edge.target)
        near.setdefault(edge.target, []).append(edge.source)
    way = {start: [start] for start in starts}
    order = list(way)
    for node in order:
        for other in near.get(node, []):
            if other not in way:
                way[other] = [*way[node], other]
                order.append(other)
    return [way[node] for node in order if len(way[node]) > 1]


# Gathering


class _Gathering:
    """What was found so far, each thing once, at most `NODES_MAX`; echoes and the task that is being worked on are left out."""

    def __init__(self, context: SkillContext) -> None:
        self._context = context
        self._left_out = {context.task_id}
        self.found: dict[str, Found] = {}
        self.drawn: list[GraphEdge] = []

    async def around(self, ident: str, depth: int, limit: int = NODES_MAX, *, start: bool = False) -> bool:
        """Take the thing itself and the nearest around it, `limit` in all; False where memory has nothing with that id."""
        view: GraphView | None = await self._ask(subjects.MEMORY_GRAPH, GraphRequest(id=ident, depth=depth, limit=limit))
        if view is None:
            return False
        await self._take([n for n in view.nodes if n.kind != "agent"], ident if start else None)
        self.drawn += view.edges
        return True

    async def _take(self, nodes: Sequence[GraphNode], start: str | None) -> None:
        new = [n for n in nodes if n.id not in self.found and n.id not in self._left_out][: NODES_MAX - len(self.found)]
        episodes = await self._episodes([n.id for n in new if n.kind in {"episode", "lesson"}])
        for node in new:
            episode = episodes.get(node.id)
            if episode and node.id != start and is_echo(episode.action_type, episode.action_details, self._context.task_id):
                self._left_out.add(node.id)
            else:
                self.found[node.id] = found(node, episode, start=node.id == start)

    async def _episodes(self, ids: list[str]) -> dict[str, EpisodeView]:
        recalled = await self._context.recall.episodes(ids)
        if not recalled.complete:
            raise _unavailable("memory does not answer")
        return {e.episode_id: e for e in recalled.episodes}

    async def _ask(self, row: subjects.Subject, body: Any) -> Any:
        try:
            return await self._context.bus.ask(row, body, timeout_s=ASK_S)
        except Refused:
            return None
        except CerebroError as e:
            raise _unavailable(f"memory does not answer: {e}") from e

    async def look_around(self, start: Found) -> None:
        """Take what shares the session of the start, what names it in words, and what is like it."""
        ids: list[str] = []
        if start.session:
            recent = await self._ask(subjects.MEMORY_RECENT, RecentFilter(agent_id=start.node.agent_id, limit=SESSION_MAX))
            ids += [e.episode_id for e in recent.episodes if e.session_id == start.session] if recent else []
        for query in filter(None, (start.node.id, start.node.text)):
            ids += [hit.id for hit in (await self._context.recall.search(query, limit=RECALLED_MAX)).hits]
        for ident in dict.fromkeys(ids):
            if len(self.found) < NODES_MAX:
                await self.around(ident, 1)


def found(node: GraphNode, episode: EpisodeView | None, *, start: bool = False) -> Found:
    """A node of the graph; where it is an episode or lesson, with its tags and session."""
    shown = Node(id=node.id, kind=node.kind, text=node.text, agent_id=node.agent_id, timestamp=node.timestamp, start=start)
    return Found(node=shown, tags=tuple(episode.tags), session=episode.session_id) if episode else Found(node=shown)


def _unavailable(why: str) -> SkillError:
    return SkillError("memory_unavailable", why, retryable=True)


async def _run(context: SkillContext, start: Start) -> References:
    if (start.id is None) == (start.query is None):
        raise bad_input("give either `id` or `query`", "$.id")
    gathering = _Gathering(context)
    if start.id is not None:
        if not await gathering.around(start.id, STEPS_MAX, start=True) or start.id not in gathering.found:
            raise SkillError("not_found", f"memory holds nothing with the id {start.id}")
        await gathering.look_around(gathering.found[start.id])
    else:
        await _recall(context, gathering, start.query or "")
    return analyse(list(gathering.found.values()), gathering.drawn)


async def _recall(context: SkillContext, gathering: _Gathering, query: str) -> None:
    recalled = await context.recall.search(query, limit=RECALLED_MAX)
    if not recalled.complete:
        raise _unavailable("memory does not answer; without it nothing can be recalled")
    starts = [hit.id for hit in recalled.hits if not is_echo(hit.action_type, hit.action_details, context.task_id)]
    for ident in starts:  # all of them have their place before what stands around the first takes the room
        await gathering.around(ident, 1, limit=1, start=True)
    for ident in starts:
        await gathering.around(ident, STEPS_MAX)


CROSS_REFERENCE_ANALYSIS = Skill(
    name="cross_reference_analysis",
    description="Show how episodes, concepts and lessons hang together: references, sources, mentions, sessions and tags, and paths.",
    input=Start,
    output=References,
    run=_run,
)
