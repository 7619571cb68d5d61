"""Spreading activation: recall follows the graph from what was found. Personalised PageRank (Haveliwala, Topic-sensitive
PageRank, WWW 2002), restarted at the hits, as HippoRAG uses it for memory (Gutiérrez et al., NeurIPS 2024).

    p = s + d·Wᵀs + d²·(Wᵀ)²s + …        to `rounds` terms

`s` are the hits' scores, `d` the damping, `W` the graph as a random walk: edges in both directions, each weighed by its kind, the
weights of a node's edges divided by their sum. This is p = s + d·Wᵀp, PageRank but for the factor 1 − d, which is left out so
that p is in the unit of the hits' scores: a hit that nothing leads to keeps its score, one that others lead to gains.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from memory.database import Database, statement
from memory.fusion import Found, Fused
from memory.settings import MemorySettings
from schemas.graph import EdgeKind

SUBGRAPH: Final = statement("spread_edges")
ADMITTED: Final = statement("spread_admitted")

NEIGHBOURS_MAX: Final = 200
"""Most memories that no arm found and that one search looks at."""

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


class Spreading:
    """What a search does after its fusion when it is asked to `spread`."""

    def __init__(self, database: Database, settings: MemorySettings) -> None:
        self._database = database
        self._settings = settings

    async def over(self, fused: Sequence[Fused], filters: Sequence[Any]) -> list[Fused]:
        """The hits in their new order, among them neighbours that no arm found but that pass all filters. Scores only grow.

        `filters` are the parameters that every arm has, in their order. Raises `Unavailable`.
        """
        s = self._settings
        scores = {hit.found.id: hit.score for hit in fused[: s.spread_hits_max]}
        as_of = filters[-2:]
        found = await self._database.rows(SUBGRAPH, list(scores), s.spread_edges_of_node_max, s.spread_edges_max, *as_of)
        links = [(r["source"], r["target"], WEIGHTS[r["kind"]]) for r in found]
        after = spread(scores, links, damping=s.spread_damping, rounds=s.spread_rounds)
        gained = {node: score - scores.get(node, 0.0) for node, score in after.items()}
        grown = [Fused(hit.found, hit.score + gained.get(hit.found.id, 0.0), hit.text, hit.vector) for hit in fused]
        known = {hit.found.id for hit in fused}
        grown += await self._admitted([node for node in gained if node not in known], gained, filters)
        return sorted(grown, key=lambda hit: -hit.score)

    async def _admitted(self, nodes: Sequence[str], gained: Mapping[str, float], filters: Sequence[Any]) -> list[Fused]:
        """The best of these nodes that are memories and pass the filters."""
        best = sorted(nodes, key=lambda node: (-gained[node], node))[:NEIGHBOURS_MAX]
        if not best:
            return []
        found = await self._database.rows(ADMITTED, best, *filters)
        return [Fused(Found(r["kind"], r["id"]), gained[r["id"]], None, None) for r in found]
