"""How good a ranking is, given what it should have found. Pure."""

import math
from collections.abc import Sequence

import msgspec


class Scores(msgspec.Struct, frozen=True):
    """Means over questions, 0…1."""

    questions: int
    recall_10: float
    ndcg_10: float
    recall_50: float


def recall(ranking: Sequence[str], gold: frozenset[str], k: int) -> float:
    """The share of `gold` in the first `k`."""
    return len(gold.intersection(ranking[:k])) / len(gold)


def ndcg(ranking: Sequence[str], gold: frozenset[str], k: int) -> float:
    """Discounted cumulative gain over its best (Järvelin & Kekäläinen 2002), gains 0 or 1; what stands twice gains once."""
    first = {ident: place for place, ident in reversed(list(enumerate(ranking[:k], 1)))}
    gained = sum(1 / math.log2(first[ident] + 1) for ident in gold if ident in first)
    best = sum(1 / math.log2(place + 1) for place in range(1, min(len(gold), k) + 1))
    return gained / best


def mean(rankings: Sequence[Sequence[str]], golds: Sequence[frozenset[str]]) -> Scores:
    """The figures of one system over all questions."""
    pairs = list(zip(rankings, golds, strict=True))
    n = len(pairs)
    return Scores(
        questions=n,
        recall_10=sum(recall(r, g, 10) for r, g in pairs) / n,
        ndcg_10=sum(ndcg(r, g, 10) for r, g in pairs) / n,
        recall_50=sum(recall(r, g, 50) for r, g in pairs) / n,
    )
