"""Likeness: how surely two sources tell of the same, 0…1.

    likeness = max(words, meaning − 0.2) + 0.05 same session + 0.3 one refers to the other + 0.3 they claim something of one thing

`words` is the cosine of their weighted terms: the square root of a term's count times its inverse document frequency among
the sources looked at (Salton and McGill 1983, ch. 4), entities twice. `meaning` is the cosine of their vectors, where both
have one; MiniLM gives 0.7 to paraphrases and 0.3–0.5 to what merely belongs to one subject, hence the 0.2.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from memory.consolidation.claims import claims
from memory.consolidation.entities import entities
from memory.consolidation.source import Source
from schemas.terms import terms

ENTITY_WEIGHT: Final = 2.0
MEANING_OFFSET: Final = 0.2
SESSION_BONUS: Final = 0.05
LINK_BONUS: Final = 0.3
CLAIM_BONUS: Final = 0.3
SAME_AGENT_MIN: Final = 0.5
"""Least likeness at which two sources of one agent tell of the same."""
OTHER_AGENT_MIN: Final = 0.6
"""Least likeness across agents: there it must be clear."""
PROFILE_TERMS_MAX: Final = 64
"""Most terms of a source that are compared, the weightiest."""
KEY_TERMS_MAX: Final = 8
"""Terms that a source is found by."""
NAMED: Final = "@"
"""Before an entity, so that it is a term of its own beside its words."""


class Profile(msgspec.Struct, frozen=True, eq=False):
    """A source made comparable: a unit vector over terms, the heaviest first, and what it makes claims about."""

    source: Source
    weights: dict[str, float]
    about: frozenset[str]

    @property
    def key_terms(self) -> tuple[str, ...]:
        """The most telling terms."""
        return tuple(list(self.weights)[:KEY_TERMS_MAX])


def profiles(sources: Sequence[Source]) -> list[Profile]:
    """The profiles of sources that are looked at together; how rare a term is among them says what it is worth."""
    counted = [counts(source.text) for source in sources]
    df = Counter(term for found in counted for term in found)
    return [_profile(source, found, df, len(sources)) for source, found in zip(sources, counted, strict=True)]


def counts(text: str) -> Counter[str]:
    """The terms and entities of a text, and how often each stands there."""
    found = Counter(terms(text))
    found.update(NAMED + entity for entity in entities(text))
    return found


def key_terms(text: str, most: int) -> list[str]:
    """Terms to find a text by, where nothing is known of other texts: entities, then the most frequent, longer ones first."""
    found = counts(text)
    return sorted(found, key=lambda t: (-found[t] * (ENTITY_WEIGHT if t.startswith(NAMED) else 1), -len(t), t))[:most]


def _profile(source: Source, found: Counter[str], df: Mapping[str, int], total: int) -> Profile:
    weighed = {t: _weight(t, n, df[t], total) for t, n in found.items()}
    heaviest = sorted(weighed, key=lambda t: (-weighed[t], t))[:PROFILE_TERMS_MAX]
    norm = math.sqrt(sum(weighed[t] ** 2 for t in heaviest)) or 1.0
    about = frozenset(claim.about for claim in claims(source.text))
    return Profile(source, {t: weighed[t] / norm for t in heaviest}, about)


def _weight(term: str, count: int, df: int, total: int) -> float:
    return math.sqrt(count) * math.log(1 + total / df) * (ENTITY_WEIGHT if term.startswith(NAMED) else 1.0)


def likeness(a: Profile, b: Profile) -> float:
    """How surely `a` and `b` tell of the same; symmetric."""
    score = max(_words(a, b), _meaning(a.source, b.source) - MEANING_OFFSET)
    if a.source.session is not None and a.source.session == b.source.session:
        score += SESSION_BONUS
    if b.source.id in a.source.links or a.source.id in b.source.links:
        score += LINK_BONUS
    if a.about & b.about:
        score += CLAIM_BONUS
    return min(1.0, score)


def enough(agents: Iterable[str]) -> float:
    """The least likeness at which sources of these agents tell of the same."""
    return SAME_AGENT_MIN if len(set(agents)) == 1 else OTHER_AGENT_MIN


def _words(a: Profile, b: Profile) -> float:
    small, large = sorted((a.weights, b.weights), key=len)
    return math.fsum(weight * large[term] for term, weight in small.items() if term in large)


def _meaning(a: Source, b: Source) -> float:
    return float(a.vector @ b.vector) if a.vector is not None and b.vector is not None else 0.0
