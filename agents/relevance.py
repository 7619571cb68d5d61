"""Relevance: how much two texts are about the same, by their words alone. Deterministic, no I/O.

Similarity is the cosine of the two bags of terms, each count damped by its square root (Salton and McGill 1983, ch. 4),
so that a word said ten times does not drown the rest.
"""

import functools
import math
from collections import Counter

from schemas.terms import TEXT_LEN_MAX, fold, stem, terms

__all__ = ["TEXT_LEN_MAX", "cosine", "fold", "similarity", "stem", "terms"]

BAGS_KEPT_MAX = 4_096
"""Texts whose terms are remembered, as one text is compared with many, again and again."""


def similarity(a: str, b: str) -> float:
    """How much `a` and `b` share, 0 (no term, or nothing to compare) … 1 (the same terms in the same proportions)."""
    return cosine(_bag(a[:TEXT_LEN_MAX]), _bag(b[:TEXT_LEN_MAX]))


@functools.lru_cache(maxsize=BAGS_KEPT_MAX)
def _bag(text: str) -> Counter[str]:
    return Counter(terms(text))


def cosine(a: Counter[str], b: Counter[str]) -> float:
    """The cosine of two bags of terms with square-rooted counts, 0…1."""
    shared = sum(math.sqrt(a[t] * b[t]) for t in a.keys() & b.keys())
    return min(1.0, shared / math.sqrt(a.total() * b.total())) if shared else 0.0
