"""Reciprocal rank fusion: one ranking of two (Cormack, Clarke & Büttcher, SIGIR 2009).

score(x) = Σ over the arms of weight / (k + rank of x in the arm), ranks from 1. Only the order counts, so the arms'
own scores need not be comparable.
"""

from collections.abc import Sequence

import msgspec


class Found(msgspec.Struct, frozen=True):
    """What an arm of the search found: the kind of thing and its public id."""

    kind: str
    id: str


class Fused(msgspec.Struct, frozen=True):
    """A hit with its score and its rank in each arm (None: that arm did not find it)."""

    found: Found
    score: float
    text: int | None
    vector: int | None


def fuse(text: Sequence[Found], vector: Sequence[Found], *, k: float, text_weight: float, vector_weight: float, limit: int) -> list[Fused]:
    """The best `limit` of both arms, best first; equal scores stand in the order of the better rank, then text before vector."""
    text_ranks = {found: rank for rank, found in enumerate(text, 1)}
    vector_ranks = {found: rank for rank, found in enumerate(vector, 1)}
    hits = []
    for found in dict.fromkeys((*text, *vector)):
        in_text, in_vector = text_ranks.get(found), vector_ranks.get(found)
        score = (text_weight / (k + in_text) if in_text else 0.0) + (vector_weight / (k + in_vector) if in_vector else 0.0)
        hits.append(Fused(found, score, in_text, in_vector))
    hits.sort(key=lambda hit: (-hit.score, min(hit.text or len(hits) + 1, hit.vector or len(hits) + 1)))
    return hits[:limit]
