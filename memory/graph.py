"""The graph of memory: edges kept as the entries come that draw them, and what stands around one thing.

The graph is walked level by level from the thing that was asked for. Agents are shown and not passed through: everything
hangs together by them. What nothing here holds (forgotten, never persisted) is neither shown nor passed through.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import asyncpg

from bus.errors import not_found
from memory.database import Connection, Database, statement
from memory.edges import Edge, edges_of
from memory.episode_row import EpisodeRow, plain
from schemas.graph import GraphEdge, GraphNode, GraphRequest, GraphView
from schemas.words import rfc3339

PUT: Final = statement("put_edges")
ERASE_IDS: Final = statement("erase_edges_of_ids")
ERASE_ENTRIES: Final = statement("erase_edges_of_entries")
NEIGHBOURS: Final = statement("graph_neighbours")
NODES: Final = statement("graph_nodes")
EDGES: Final = statement("graph_edges")

TEXT_LEN_MAX: Final = 300
"""Longest text of a node, in characters."""
EDGES_OF_NODE_MAX: Final = 500
"""Most edges of one node that are followed in each direction, the newest."""
EDGES_OF_LEVEL_MAX: Final = 20_000
"""Most edges that are followed from all nodes at one distance."""
LOOKED_UP_MAX: Final = 200
"""Most ids that are looked up at a time, the nearest first; of a hub not all have to be."""
EDGES_SHOWN_MAX: Final = 5_000
"""Most edges of one answer."""
NEAREST: Final = {
    "contradicts": 0,
    "derived_from": 1,
    "cross_reference": 2,
    "caused": 3,
    "assigned": 4,
    "voted_on": 5,
    "informed": 6,
    "mentions": 7,
}
"""Which of the nodes at the same distance are shown first: by the kind of the edge that leads to them, then the newest."""


class EdgeProjection:
    """Keeps the table `edges`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, connection: Connection, fresh: Sequence[EpisodeRow]) -> None:
        """Put in what these entries say of how things hang together."""
        edges = [edge for row in fresh for edge in edges_of(row)]
        if edges:
            columns = [[getattr(edge, column) for edge in edges] for column in Edge.__struct_fields__]
            await self._database.run(connection, PUT, *columns)


async def erase_edges(database: Database, connection: Connection, ids: Sequence[str], seqs: Sequence[int] = ()) -> None:
    """Forget every edge that ends at one of these ids, or was drawn by the entry at one of these places in the log.

    Part of the caller's transaction. An edge that another entry drew as well stays, as after a rebuild without these entries.
    """
    await database.run(connection, ERASE_IDS, ids)
    if seqs:
        await database.run(connection, ERASE_ENTRIES, seqs)


async def graph_around(database: Database, asked: GraphRequest) -> GraphView:
    """The nodes within `depth` of the thing asked for, the nearest first, and all edges among them.

    Raises a 404 where nothing has that id, `Unavailable`.
    """
    walk = _Walk(database, asked.limit)
    await walk.begin(plain(asked.id))
    for distance in range(1, asked.depth + 1):
        await walk.step(distance)
    return await walk.view()


class _Walk:
    """A walk outwards from one node, at most `limit` nodes far."""

    def __init__(self, database: Database, limit: int) -> None:
        self._database = database
        self._limit = limit
        self._nodes: dict[str, GraphNode] = {}
        self._edge_of_walk: list[str] = []
        self._truncated = False

    async def begin(self, ident: str) -> None:
        """Stand on the thing itself."""
        if not await self._meet([ident], 0):
            raise not_found(f"memory holds nothing with the id {ident}")
        self._edge_of_walk = [ident]

    async def step(self, distance: int) -> None:
        """Go one edge further in every direction."""
        if not self._edge_of_walk or self._truncated:
            return
        bounds = (EDGES_OF_NODE_MAX + 1, EDGES_OF_LEVEL_MAX + 1)
        found = await self._database.rows(NEIGHBOURS, self._edge_of_walk, *bounds)
        if len(found) > EDGES_OF_LEVEL_MAX or _overfull(found):
            self._truncated = True
        met = await self._meet(_in_order(found, self._nodes), distance)
        self._edge_of_walk = [node.id for node in met if node.kind != "agent"]

    async def _meet(self, ids: Sequence[str], distance: int) -> list[GraphNode]:
        """Those of these that are something, as long as there is room for them."""
        met: list[GraphNode] = []
        for start in range(0, len(ids), LOOKED_UP_MAX):
            some = ids[start : start + LOOKED_UP_MAX]
            known = {r["id"]: r for r in await self._database.rows(NODES, some, TEXT_LEN_MAX)}
            nodes = [_node(known[i], distance) for i in some if i in known]
            room = self._limit - len(self._nodes)
            met += nodes[:room]
            self._nodes |= {node.id: node for node in nodes[:room]}
            if len(nodes) > room:
                self._truncated = True
                break
        return met

    async def view(self) -> GraphView:
        """What was met, and every edge among it."""
        found = await self._database.rows(EDGES, list(self._nodes), EDGES_SHOWN_MAX + 1)
        shown = [GraphEdge(**dict(r)) for r in found[:EDGES_SHOWN_MAX]]
        return GraphView(
            nodes=list(self._nodes.values()),
            edges=sorted(shown, key=lambda e: (e.stream_seq, NEAREST[e.kind], e.source, e.target)),
            truncated=self._truncated or len(found) > EDGES_SHOWN_MAX,
        )


def _in_order(found: Iterable[asyncpg.Record], known: dict[str, GraphNode]) -> list[str]:
    """The other ends of these edges that are not known yet, each once."""
    ordered = sorted(found, key=lambda r: (NEAREST[r["kind"]], -r["stream_seq"]))
    ends = (r["target"] if r["source"] == r["near"] else r["source"] for r in ordered)
    return [end for end in dict.fromkeys(ends) if end not in known]


def _overfull(found: Sequence[asyncpg.Record]) -> bool:
    """Whether some node had more edges in one direction than are followed."""
    counts: dict[tuple[str, bool], int] = {}
    for r in found:
        side = (r["near"], r["source"] == r["near"])
        counts[side] = counts.get(side, 0) + 1
    return max(counts.values(), default=0) > EDGES_OF_NODE_MAX


def _node(record: asyncpg.Record, distance: int) -> GraphNode:
    moment = record["timestamp"]
    return GraphNode(
        id=record["id"],
        kind=record["kind"],
        text=record["text"],
        agent_id=record["agent_id"],
        timestamp=rfc3339(moment) if moment else None,
        distance=distance,
    )
