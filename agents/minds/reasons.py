"""Reasons: what speaks for and against, each with its weight of evidence, and what was missing.

Weights are log-odds (the weight of evidence of I. J. Good, *Probability and the Weighing of Evidence*, 1950): reasons add
up, agreeing ones strengthen and opposing ones cancel each other, and confidence is `tanh(|sum| / 2)`, that is the
distance of the resulting probability from even odds.
"""

import math
from collections.abc import Iterable, Sequence

import msgspec


class Reason(msgspec.Struct, frozen=True):
    """`strength` −1 (against) … 1 (for) times `weight` in log-odds; `option` where it is about one option only."""

    strength: float
    weight: float
    phrase: str
    ids: tuple[str, ...] = ()
    option: str | None = None

    @property
    def force(self) -> float:
        """What it adds to the log-odds."""
        return self.strength * self.weight


class Basis(msgspec.Struct, frozen=True):
    """What a mind found: its reasons, what it `sought` (told where it found none), and the attributes left `unknown`."""

    reasons: Sequence[Reason]
    sought: Sequence[str]
    unknown: Sequence[str] = ()


def support(reasons: Iterable[Reason]) -> float:
    """The log-odds that the reasons add up to."""
    return math.fsum(r.force for r in reasons)


def confidence(log_odds: float) -> float:
    """How far from undecided this is, 0…1: 0 at even odds; 0.46 at 1, 0.76 at 2, 0.96 at 4."""
    return math.tanh(abs(log_odds) / 2)


def capped(reasons: Sequence[Reason], force_max: float) -> list[Reason]:
    """The reasons with their weights scaled down together so that their forces sum to `force_max` at most, in either
    direction: much of one kind does not drown all other kinds.
    """
    total = math.fsum(abs(r.force) for r in reasons)
    scale = min(1.0, force_max / total) if total else 1.0
    return [msgspec.structs.replace(r, weight=r.weight * scale) for r in reasons]
