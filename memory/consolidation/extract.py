"""Extracts: what sources say, word for word; and the name and the contradictions of a concept in words. Pure.

An extract takes the sentences that are most like all the others (centroid summarisation, Radev et al. 2004) and, among
those, such as do not repeat what is taken already (maximal marginal relevance, Carbonell and Goldstein 1998). They stand in the order of
their times, each with who said it and when. Nothing is written that no source says.
"""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from memory.consolidation.claims import WANING
from memory.consolidation.entities import entities
from memory.consolidation.sentences import sentences
from memory.consolidation.source import Source
from schemas.concepts import Statement
from schemas.terms import STOP_WORDS, fold, terms

EXTRACT_SENTENCES_MAX: Final = 6
"""Most sentences of an extract."""
EXTRACT_LEN_MAX: Final = 2_000
"""Longest extract, in characters."""
RELEVANCE: Final = 0.7
"""Share of likeness to all, against newness, in the choice of a sentence (the λ of maximal marginal relevance)."""
REPEATED: Final = 0.9
"""A sentence that is so like one taken already only repeats it."""
NAME_WORDS_MAX: Final = 5
"""Most words of a concept's name."""
NAME_LEN_MAX: Final = 120
"""Longest name, in characters."""
CONTRADICTIONS_SHOWN_MAX: Final = 5
"""Most contradictions that the content spells out; all are among the statements."""


class _Sentence(msgspec.Struct, frozen=True, eq=False):
    text: str
    source: Source
    place: int
    terms: frozenset[str]

    @property
    def order(self) -> tuple[tuple[datetime, str], int]:
        return self.source.order, self.place


def extract(sources: Sequence[Source], told: str = "") -> str:
    """The central sentences of `sources`, a line each, without those that only repeat `told`."""
    told_terms = [frozenset(terms(sentence)) for sentence in sentences(told)]
    taken: list[_Sentence] = []
    room = EXTRACT_LEN_MAX
    for sentence in _ranked(_sentences(sources), told_terms):
        line = len(_line(sentence.text, sentence.source.agent, sentence.source.at)) + 1
        if line <= room:
            taken.append(sentence)
            room -= line
    return "\n".join(_line(s.text, s.source.agent, s.source.at) for s in sorted(taken, key=lambda s: s.order))


def _sentences(sources: Sequence[Source]) -> list[_Sentence]:
    """Every sentence, in the order of their times."""
    found = []
    for source in sorted(sources, key=lambda s: s.order):
        for place, text in enumerate(sentences(source.text)):
            if said := frozenset(terms(text)):
                found.append(_Sentence(text, source, place, said))
    return found


def _ranked(found: list[_Sentence], told: list[frozenset[str]]) -> list[_Sentence]:
    """The sentences worth taking, the most telling first."""
    df = Counter(term for sentence in found for term in sentence.terms)
    central = {id(s): sum(df[t] for t in s.terms) / math.sqrt(len(s.terms)) / len(found) for s in found}
    most = max(central.values(), default=1.0)
    taken: list[_Sentence] = []
    left = sorted(found, key=lambda s: (-round(central[id(s)], 9), s.order))
    nearest = {id(s): max((_overlap(s.terms, t) for t in told), default=0.0) for s in left}
    while left and len(taken) < EXTRACT_SENTENCES_MAX:
        left = [s for s in left if nearest[id(s)] < REPEATED]
        if not left:
            break
        best = max(left, key=lambda s: round(RELEVANCE * central[id(s)] / most - (1 - RELEVANCE) * nearest[id(s)], 9))
        taken.append(best)
        for s in left:
            nearest[id(s)] = max(nearest[id(s)], _overlap(s.terms, best.terms))
    return taken


def _overlap(a: frozenset[str], b: frozenset[str]) -> float:
    """Cosine of two sets."""
    return len(a & b) / math.sqrt(len(a) * len(b)) if a and b else 0.0


def _line(text: str, agent: str, at: datetime) -> str:
    return f"{text} ({agent}, {shown_time(at)})"


def shown_time(at: datetime) -> str:
    """A time as contents show it: UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def contradictions(statements: Sequence[Statement]) -> str:
    """Both sides of each contradiction, a line each, with who said it and when."""
    about: dict[str, list[Statement]] = {}
    for statement in statements:
        about.setdefault(statement.about, []).append(statement)
    return "\n".join(_contradiction(sides) for sides in list(about.values())[:CONTRADICTIONS_SHOWN_MAX])


def _contradiction(sides: list[Statement]) -> str:
    latest = {s.says: s for s in sorted(sides, key=lambda s: (s.at, s.episode_id))}
    shown = sorted(latest.values(), key=lambda s: (s.stance != "held", s.at, s.episode_id))
    return "Contradiction: " + " but ".join(f"“{s.text}” ({s.agent_id}, {shown_time(s.at)})" for s in shown)


def name(sources: Sequence[Source]) -> str:
    """The most telling words: what most sources name or say, in the order in which the most central sentence has them."""
    found = _sentences(sources)
    if not found:
        return (sources[0].action_type or "concept")[:NAME_LEN_MAX]
    said = Counter(t for source in sources for t in set(terms(source.text)))
    named = Counter(t for source in sources for t in {t for entity in entities(source.text) for t in terms(entity)})
    (first, *_) = _ranked(found, [])
    words = list(dict.fromkeys(_words(first.text)))
    telling = {word: max((said[t] + named[t] for t in terms(word)), default=0) for word in words}
    best = set(sorted(words, key=lambda w: (-telling[w], -len(w), w))[:NAME_WORDS_MAX])
    return " ".join(word for word in words if word in best)[:NAME_LEN_MAX] or first.text[:NAME_LEN_MAX]


def _words(text: str) -> list[str]:
    """The words of a sentence as they stand there, without marks around them and without what says nothing of the subject."""
    words = (word.strip("\"'`“”().,;:!?[]{}<>") for word in text.split())
    return [word for word in words if word and fold(word) not in STOP_WORDS | WANING]
