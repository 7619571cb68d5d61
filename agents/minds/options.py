"""Options: which of them means yes, which means no, and which of several a text speaks of."""

from collections.abc import Sequence

import msgspec

from agents.minds.case import Case
from agents.minds.reasons import Reason
from agents.relevance import fold, terms

AGAINST = ("reject", "no", "decline", "rechazar")
"""What an option that turns the proposal down may be called; the first that is among the options is it."""
COVERAGE_MIN = 0.5
"""A text speaks of an option if it has at least this share of the terms that only this option has."""


class Ballot(msgspec.Struct, frozen=True):
    """A proposal's options as a mind sees them. `favour` is the one option that means yes, None where there are several
    `candidates`; `against` is the one that means no, None where there is none.
    """

    candidates: tuple[str, ...]
    against: str | None

    @property
    def favour(self) -> str | None:
        return self.candidates[0] if len(self.candidates) == 1 else None


def ballot(options: Sequence[str]) -> Ballot:
    """Sort the options of a proposal. One candidate beside `reject` is a plain yes-or-no question."""
    against = next((o for word in AGAINST for o in options if fold(o) == word), None)
    return Ballot(tuple(o for o in options if o != against), against)


def distinct_terms(candidates: Sequence[str]) -> dict[str, frozenset[str]]:
    """The terms that each candidate does not share with all others."""
    found = {o: frozenset(terms(o) or [fold(o)]) for o in candidates}
    shared = frozenset.intersection(*found.values()) if found else frozenset()
    return {o: words - shared for o, words in found.items()}


def coverage(words: frozenset[str], text_terms: frozenset[str]) -> float:
    """The share of `words` that stand in a text, 0…1."""
    return len(words & text_terms) / len(words) if words else 0.0


def spoken_of(sorted_out: Ballot, text: str) -> dict[str, float]:
    """The candidates that `text` speaks of, each with the share of its terms that stand there."""
    said = frozenset(terms(text))
    covered = {o: coverage(words, said) for o, words in distinct_terms(sorted_out.candidates).items()}
    return {o: share for o, share in covered.items() if share >= COVERAGE_MIN}


def apply(case: Case, reason: Reason, text: str) -> list[Reason]:
    """`reason` itself where the question is yes or no; else one for each option that `text` speaks of, as strong as
    `text` covers that option's terms.
    """
    sorted_out = ballot(case.proposal.options)
    if sorted_out.favour is not None:
        return [reason]
    spoken = spoken_of(sorted_out, text)
    return [msgspec.structs.replace(reason, option=o, strength=reason.strength * share) for o, share in spoken.items()]
