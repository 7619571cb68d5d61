"""Cross-reference analysis: how episodes, concepts and lessons hang together.

From an id, or from what a query recalls, the references are followed: an episode's `cross_reference`, the sources of concepts and
lessons, ids that are mentioned, a shared session, a shared tag. Paths lead from where the search began to what was reached.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, pairwise
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from agents.skills.skill import Skill, SkillContext, SkillError, bad_input, is_echo
from bus import subjects
from bus.errors import CerebroError, Refused
from schemas.concepts import ConceptWithSources
from schemas.learning import LessonView
from schemas.members import Ask
from schemas.memory import QUERY_LEN_MAX, ById, EpisodeView, RecentFilter
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
TEXT_LEN_MAX = 300
"""Longest text of a node, in characters."""
DETAIL_TEXT_LEN_MAX = 20_000
"""How much of a node's details is searched for ids, in characters."""
ASK_S = 2.0
"""Longest wait for one answer of memory."""

_ID = re.compile(r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b")

Kind = Literal["cross_reference", "source", "mentions", "same_session", "same_tag"]
STRENGTH: dict[Kind, int] = {"cross_reference": 0, "source": 1, "mentions": 2, "same_session": 3, "same_tag": 4}
"""Kinds of reference, the strongest first: it is preferred where two nodes have several."""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Where to begin: with one thing by id, or with what a query recalls."""

    id: EventId | None = None
    query: Annotated[str, Meta(min_length=1, max_length=QUERY_LEN_MAX)] | None = None


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """An episode, concept or lesson. `start` marks those where the search began."""

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
    """One thing with all it refers to, as memory gave it."""

    node: Node
    refers: tuple[tuple[str, Kind], ...] = ()
    tags: tuple[str, ...] = ()
    session: str | None = None


def analyse(found: Sequence[Found]) -> References:
    """The references among these, and the paths from the starts."""
    known = {f.node.id for f in found}
    edges = [*_direct(found, known), *_shared(found)]
    ends = [f.node.id for f in found if f.node.start]
    return References(nodes=[f.node for f in found], edges=edges, paths=paths(ends, edges)[:PATHS_MAX])


def _direct(found: Sequence[Found], known: set[str]) -> list[Edge]:
    best: dict[tuple[str, str], Kind] = {}
    for f in found:
        for target, kind in f.refers:
            pair = (f.node.id, target)
            if target in known and target != f.node.id and STRENGTH[kind] < STRENGTH.get(best.get(pair, "same_tag"), 9):
                best[pair] = kind
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


def from_episode(e: EpisodeView, *, start: bool = False) -> Found:
    """An episode, with the ids that it names."""
    details = msgspec.json.encode([e.action_details, e.context_state, e.handoff_packet]).decode()[:DETAIL_TEXT_LEN_MAX]
    text = e.action_details.get("text")
    refers: list[tuple[str, Kind]] = [(e.cross_reference, "cross_reference")] if e.cross_reference else []
    refers += [(source, "source") for source in _listed(e.action_details, "source_episodes", "evidence")]
    refers += [(ident.lower(), "mentions") for ident in _ID.findall(details)]
    return Found(
        node=Node(
            id=e.episode_id,
            kind=e.kind,
            text=(text if isinstance(text, str) else f"{e.action_type} {details}")[:TEXT_LEN_MAX],
            agent_id=e.agent_id,
            timestamp=e.timestamp,
            start=start,
        ),
        refers=tuple(refers),
        tags=tuple(e.tags),
        session=e.session_id,
    )


def _listed(details: dict[str, Any], *fields: str) -> list[str]:
    values = [v for name in fields if isinstance(v := details.get(name), list)]
    return [x for v in values for x in v if isinstance(x, str)]


def from_concept(c: ConceptWithSources, *, start: bool = False) -> Found:
    """A concept, with the episodes it was made of."""
    node = Node(id=c.concept_id, kind="concept", text=f"{c.concept}: {c.content}"[:TEXT_LEN_MAX], timestamp=c.created_at, start=start)
    return Found(node=node, refers=tuple((s, "source") for s in c.source_episodes))


def from_lesson(lesson: LessonView, *, start: bool = False) -> Found:
    """A lesson, with the episodes it rests on and the ids that it names."""
    node = Node(
        id=lesson.lesson_id,
        kind="lesson",
        text=f"{lesson.topic}: {lesson.content}"[:TEXT_LEN_MAX],
        agent_id=lesson.agent,
        timestamp=lesson.published_at,
        start=start,
    )
    mentioned = _ID.findall(lesson.content[:DETAIL_TEXT_LEN_MAX])
    refers: list[tuple[str, Kind]] = [(s, "source") for s in lesson.source_episodes]
    return Found(node=node, refers=(*refers, *((m.lower(), "mentions") for m in mentioned)), tags=tuple(lesson.tags))


class _Gathering:
    """What was found so far, each thing once, at most `NODES_MAX`."""

    def __init__(self, context: SkillContext) -> None:
        self._context = context
        self._absent: set[str] = set()
        self.found: dict[str, Found] = {}

    async def take(self, ident: str, *, start: bool = False) -> Found | None:
        """Whatever has this id: an episode, concept or lesson; None where nothing has."""
        if ident in self.found or ident in self._absent or len(self.found) >= NODES_MAX:
            return self.found.get(ident)
        kinds: tuple[tuple[subjects.Subject, Any, Callable[..., Found]], ...] = (
            (subjects.MEMORY_GET, ById(id=ident), from_episode),
            (subjects.MEMORY_SEMANTIC_GET, ById(id=ident), from_concept),
            (subjects.ASK_LESSON, Ask(id=ident), from_lesson),
        )
        for row, body, read in kinds:
            answer = await self._ask(row, body)
            if answer is not None and not self._is_echo(answer):
                self.found[ident] = read(answer, start=start)
                return self.found[ident]
        self._absent.add(ident)
        return None

    def _is_echo(self, answer: Any) -> bool:
        return isinstance(answer, EpisodeView) and is_echo(answer.action_type, answer.action_details, self._context.task_id)

    async def _ask(self, row: subjects.Subject, body: Any) -> Any:
        try:
            return await self._context.bus.ask(row, body, timeout_s=ASK_S)
        except Refused:
            return None
        except CerebroError as e:
            raise SkillError("memory_unavailable", f"memory does not answer: {e}", retryable=True) from e

    async def follow(self) -> None:
        """Take what is referred to, and what that refers to, step by step."""
        for _ in range(STEPS_MAX):
            for ident in sorted({target for f in self.found.values() for target, _ in f.refers} - set(self.found) - self._absent):
                await self.take(ident)

    async def look_around(self, start: Found) -> None:
        """Take what shares the session of the start, what refers to it, and what is like it."""
        if start.session:
            recent = await self._ask(subjects.MEMORY_RECENT, RecentFilter(agent_id=start.node.agent_id, limit=SESSION_MAX))
            for e in recent.episodes if recent else []:
                if e.session_id == start.session and not self._is_echo(e):
                    self._keep(from_episode(e))
        for query in (start.node.id, start.node.text):
            for hit in (await self._context.recall.search(query, limit=RECALLED_MAX)).hits:
                await self.take(hit.id)

    def _keep(self, found: Found) -> None:
        if found.node.id not in self.found and len(self.found) < NODES_MAX:
            self.found[found.node.id] = found


async def _run(context: SkillContext, start: Start) -> References:
    if (start.id is None) == (start.query is None):
        raise bad_input("give either `id` or `query`", "$.id")
    gathering = _Gathering(context)
    if start.id is not None:
        first = await gathering.take(start.id, start=True)
        if first is None:
            raise SkillError("not_found", f"memory holds nothing with the id {start.id}")
        await gathering.look_around(first)
    else:
        await _recall(context, gathering, start.query or "")
    await gathering.follow()
    return analyse(list(gathering.found.values()))


async def _recall(context: SkillContext, gathering: _Gathering, query: str) -> None:
    recalled = await context.recall.search(query, limit=RECALLED_MAX)
    if not recalled.complete:
        raise SkillError("memory_unavailable", "memory does not answer; without it nothing can be recalled", retryable=True)
    for hit in recalled.hits:
        await gathering.take(hit.id, start=True)


CROSS_REFERENCE_ANALYSIS = Skill(
    name="cross_reference_analysis",
    description="Show how episodes, concepts and lessons hang together: references, sources, mentions, sessions and tags, and paths.",
    input=Start,
    output=References,
    run=_run,
)
