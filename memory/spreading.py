"""Spreading activation: recall follows the graph from what was found. Personalised PageRank (Haveliwala, Topic-sensitive
PageRank, WWW 2002), restarted at the hits, as HippoRAG uses it for memory (Gutiérrez et al., NeurIPS 2024).

    p = s + d·Wᵀs + d²·(Wᵀ)²s + …        to `rounds` terms

`s` are the hits' scores, `d` the damping, `W` the graph as a random walk: edges in both directions, each weighed by its kind, the
weights of a node's edges divided by their sum. This is p = s + d·Wᵀp, PageRank but for the factor 1 − d, which is left out so
that p is in the unit of the hits' scores: a hit that nothing leads to keeps its score, one that others lead to gains.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from memory.database import Database, statement
from memory.settings import MemorySettings
from schemas.graph import EdgeKind

SUBGRAPH: Final = statement("spread_edges")

WEIGHTS: Final[Mapping[EdgeKind, float]] = {
    "derived_from": 1.0,
    "cross_reference": 1.0,
    "contradicts": 1.0,
    "caused": 1.0,
    "mentions": 0.5,
    "informed": 0.25,
    "assigned": 0.25,
    "voted_on": 0.25,
}
"""How much of what leaves a node takes an edge of this kind, beside its other edges."""

Link = tuple[str, str, float]
"""Two ends, in either order, and the weight between them."""


def spread(scores: Mapping[str, float], links: Sequence[Link], *, damping: float, rounds: int) -> dict[str, float]:
    """The score of every node after spreading, hits first in their order. Deterministic: sums are made in the order given."""
    near: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for one, other, weight in links:
        near[one].append((other, weight))
        near[other].append((one, weight))
    leaving = {node: sum(weight for _, weight in ways) for node, ways in near.items()}
    total = dict(scores)
    flowing = dict(scores)
    for _ in range(rounds):
        arriving: dict[str, float] = defaultdict(float)
        for node, amount in flowing.items():
            for other, weight in near.get(node, ()):
                arriving[other] += damping * amount * weight / leaving[node]
        for node, amount in arriving.items():
            total[node] = total.get(node, 0.0) + amount
        flowing = arriving
    return total


class Subgraph:
    """Reads the edges around some hits: up to two edges away, bounded, without agents (everything hangs together by them)."""

    def __init__(self, database: Database, settings: MemorySettings) -> None:
        self._database = database
        self._settings = settings

    async def links(self, ids: Sequence[str], as_of_time: datetime | None, as_of_seq: int | None) -> list[Link]:
        """What led from one to another at that time. Raises `Unavailable`."""
        s = self._settings
        bounds = (s.spread_edges_of_node_max, s.spread_edges_max)
        found = await self._database.rows(SUBGRAPH, ids, *bounds, as_of_time, as_of_seq)
        return [(r["source"], r["target"], WEIGHTS[r["kind"]]) for r in found]
