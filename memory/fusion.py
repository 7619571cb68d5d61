"""One ranking out of two arms: their scores are added, each as its excess over the arm's floor (docs/recall.md).

BM25 is a sum of log-odds (Robertson & Zaragoza 2009); a cosine times the factor by which its model was trained is one too
(Reimers & Gurevych 2019 train with 20). Evidence in log-odds adds. What an arm did not list is worth at most what it listed last:
its floor. So nothing jumps where an arm ends.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from schemas.memory import Why

RANK_NONE: Final = 2**31
"""The rank of what an arm did not list, for the order."""

Place = tuple[float, int, str, str]
"""Minus the score, the better rank, id and kind."""


class Found(msgspec.Struct, frozen=True):
    """What a search found: the kind of thing and its public id."""

    kind: str
    id: str


class Listed(msgspec.Struct, frozen=True):
    """What an arm found: what it is, its best passage, and that passage's score in the arm."""

    found: Found
    passage: int
    score: float


class Arm(msgspec.Struct, frozen=True):
    """What one arm found, best first, each once; `full` when it stopped at its depth, so that there may be more."""

    listed: Sequence[Listed]
    full: bool

    def floor(self, natural: float | None) -> float:
        """The score that counts as nothing: the last one of a full arm; else the `natural` zero, or the mean (with one more at 0)."""
        if self.full:
            return self.listed[-1].score
        return natural if natural is not None else sum(item.score for item in self.listed) / (len(self.listed) + 1)


class Fused(msgspec.Struct, frozen=True):
    """A hit: its score, its rank in each arm (None: that arm did not list it), and what its score is made of."""

    found: Found
    score: float
    text: int | None
    vector: int | None
    why: Why = Why()


class Evidence(msgspec.Struct):
    """What speaks for one hit, gathered bit by bit."""

    found: Found
    passage: int | None = None
    text_rank: int | None = None
    vector_rank: int | None = None
    text: float = 0.0
    vector: float = 0.0
    neighbour: float = 0.0
    graph: float = 0.0

    @property
    def own(self) -> float:
        """What it has by itself."""
        return self.text + self.vector

    @property
    def score(self) -> float:
        return self.text + self.vector + self.neighbour + self.graph

    @property
    def place(self) -> Place:
        """Its place in the order, smaller is better; no two hits have the same."""
        text = RANK_NONE if self.text_rank is None else self.text_rank
        vector = RANK_NONE if self.vector_rank is None else self.vector_rank
        return (-self.score, min(text, vector), self.found.id, self.found.kind)

    def fused(self) -> Fused:
        why = Why(text=self.text, vector=self.vector, neighbour=self.neighbour, graph=self.graph)
        return Fused(self.found, self.score, self.text_rank, self.vector_rank, why)


class Neighbour(msgspec.Struct, frozen=True):
    """Something that stands `distance` places before or after `source` in its session, `terms` long."""

    source: Found
    found: Found
    distance: int
    terms: int


def fuse(text: Arm, vector: Arm, *, text_weight: float, vector_weight: float) -> dict[Found, Evidence]:
    """What either arm found, with the excess over the floor of each arm, weighed."""
    hits: dict[Found, Evidence] = {}
    text_floor, vector_floor = text.floor(0.0), vector.floor(None)
    for rank, item in enumerate(text.listed, 1):
        hits[item.found] = Evidence(item.found, item.passage, text_rank=rank, text=text_weight * (item.score - text_floor))
    for rank, item in enumerate(vector.listed, 1):
        hit = hits.setdefault(item.found, Evidence(item.found, item.passage))
        hit.vector_rank, hit.vector = rank, vector_weight * max(item.score - vector_floor, 0.0)
    return hits


def alone(text: Arm, vector: Arm) -> dict[Found, Evidence]:
    """One arm by itself (the other is empty): its own order and its own scores."""
    hits = {i.found: Evidence(i.found, i.passage, text_rank=rank, text=i.score) for rank, i in enumerate(text.listed, 1)}
    return hits | {i.found: Evidence(i.found, i.passage, vector_rank=rank, vector=i.score) for rank, i in enumerate(vector.listed, 1)}


def sources(hits: Mapping[Found, Evidence], len_max: int) -> dict[int, Found]:
    """The best hits, by their best passages; their neighbours gain by them."""
    best = ordered(hits)[:len_max]
    return {hit.passage: hit.found for hit in best if hit.passage is not None and hit.own > 0}


def lean(hits: dict[Found, Evidence], neighbours: Sequence[Neighbour], *, weight: float, context_terms: float) -> None:
    """Let short texts lean on what stands beside them in their session; who is new comes in by that alone.

    A neighbour at distance d gets `weight / d` of the source's own score, times the share of its meaning that a text of its length
    takes from its context: c / (c + terms), the form of Dirichlet smoothing (Zhai & Lafferty 2004), c being `context_terms`.
    """
    for n in neighbours:
        hit = hits.get(n.found)
        if hit is None:
            hit = hits[n.found] = Evidence(n.found)
        share = context_terms / (context_terms + n.terms)
        hit.neighbour += hits[n.source].own * weight / n.distance * share


def grow(hits: dict[Found, Evidence], scores: Sequence[tuple[Found, float]]) -> None:
    """Take over what spreading along the graph made of the scores; who is new comes in by that alone."""
    for found, score in scores:
        hit = hits.setdefault(found, Evidence(found))
        hit.graph += score - hit.score


def ordered(hits: Mapping[Found, Evidence]) -> list[Evidence]:
    """Best first."""
    return sorted(hits.values(), key=lambda hit: hit.place)
