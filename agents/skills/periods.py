"""Periods: kinds of happenings that come at regular intervals.

If the events of a kind came by chance, each pause between two would be exponential, and whatever its mean, at most
`CHANCE_MAX` of them would lie within `TOLERANCE` of any given length. So the pauses that do are at most binomial; the length is taken from
one of the pauses itself, which is corrected for as many tests as there are pauses. This holds also where the rate changes.
"""

import bisect
import math
import statistics
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from agents.skills.happenings import Happening
from agents.skills.significance import binomial_tail, corrected

TOLERANCE = 0.1
"""Share by which a pause may differ from the period."""
_WORST = math.log((1 + TOLERANCE) / (1 - TOLERANCE)) / (2 * TOLERANCE)
CHANCE_MAX = math.exp(-(1 - TOLERANCE) * _WORST) - math.exp(-(1 + TOLERANCE) * _WORST)
"""The largest share of exponential pauses within the tolerance of one length: 0.0737, for a length of about their mean."""
PERIOD_S_MIN = 1.0
"""Shorter periods, in seconds, are not told: they are how fast something runs."""
EVENTS_MIN = 5
"""Fewer events of a kind have no period."""


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """`support` of the pauses between events of this kind, a `share` of them, are about `period_s` long; `expected` would be by chance."""

    kind: str
    agent: str
    period_s: float
    support: int
    share: float
    expected: float
    p: float
    q: float
    episodes: list[str]


def periods(happenings: Sequence[Happening], q_max: float, evidence_max: int) -> list[Period]:
    """The period of each kind of each agent that has one, surest first."""
    rows: dict[tuple[str, str], list[Happening]] = {}
    for h in sorted(happenings, key=lambda h: (h.at, h.id)):
        rows.setdefault((h.agent, h.kind), []).append(h)
    many = [row for _, row in sorted(rows.items()) if len(row) >= EVENTS_MIN]
    found = [p for row in many if (p := _of(row, evidence_max))]
    rates = corrected([p.p for p in found], len(many))
    told = [msgspec.structs.replace(p, q=q) for p, q in zip(found, rates, strict=True) if q <= q_max]
    return sorted(told, key=lambda p: (p.q, p.p, p.agent, p.kind))


def _of(row: Sequence[Happening], evidence_max: int) -> Period | None:
    pauses = [b.at - a.at for a, b in pairwise(row)]
    length_s, support = commonest(pauses)
    alike = [n for n, pause in enumerate(pauses) if _alike(pause, length_s)]
    if length_s < PERIOD_S_MIN:
        return None
    return Period(
        kind=row[0].kind,
        agent=row[0].agent,
        period_s=statistics.median(pauses[n] for n in alike),
        support=support,
        share=support / len(pauses),
        expected=1 + CHANCE_MAX * (len(pauses) - 1),
        p=min(1.0, len(pauses) * binomial_tail(support - 1, len(pauses) - 1, CHANCE_MAX)),
        q=1.0,
        episodes=[row[n + 1].id for n in alike[:evidence_max]],
    )


def commonest(pauses: Sequence[float]) -> tuple[float, int]:
    """The pause that most others are like, the shortest of several, and how many are like it, itself included."""
    row = sorted(pauses)
    alike = {p: bisect.bisect_right(row, p * (1 + TOLERANCE)) - bisect.bisect_left(row, p * (1 - TOLERANCE)) for p in row}
    length_s = max(alike, key=lambda p: (alike[p], -p))
    return length_s, alike[length_s]


def _alike(pause: float, length_s: float) -> bool:
    return length_s * (1 - TOLERANCE) <= pause <= length_s * (1 + TOLERANCE)
