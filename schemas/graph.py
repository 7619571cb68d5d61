"""The graph of memory: nodes and typed edges around one thing."""

from typing import Annotated, Literal

from msgspec import Meta

from schemas.words import Body, EventId, PageSize, Reply

EdgeKind = Literal["derived_from", "cross_reference", "mentions", "caused", "voted_on", "assigned", "contradicts", "informed"]
"""`informed`: a memory that entered a vote or a task; the others as their names say, from source to target."""
NodeKind = Literal["episode", "concept", "lesson", "task", "proposal", "agent"]
GRAPH_DEPTH_MAX = 4
"""Most edges between the thing asked for and what is shown."""


class GraphRequest(Body, frozen=True, kw_only=True):
    """`memory.graph`, `GET /memory/graph/{id}`: what stands around an episode, concept, lesson, task, proposal or agent."""

    id: EventId
    depth: Annotated[int, Meta(ge=1, le=GRAPH_DEPTH_MAX)] = 2
    limit: PageSize = 50


class GraphNode(Reply, frozen=True, kw_only=True):
    """`text`: what it says, shortened; empty for what is only named (an agent, something not persisted here)."""

    id: str
    kind: NodeKind
    text: str
    agent_id: str | None
    timestamp: str | None
    distance: int


class GraphEdge(Reply, frozen=True, kw_only=True):
    """`stream_seq`: the entry of the log that drew it; `agent_id`: whose entry that is."""

    source: str
    target: str
    kind: EdgeKind
    agent_id: str
    stream_seq: int


class GraphView(Reply, frozen=True, kw_only=True):
    """The nearest first; `truncated`: there are more than `limit` nodes within `depth`."""

    nodes: list[GraphNode]
    edges: list[GraphEdge]
    truncated: bool
