"""Bursts: times when happenings of one kind came unusually densely.

Where they lie is found by Kleinberg's automaton with two states (2002): one sends events at the average rate, the other
`DENSER` times as often, and changing to it costs `CHANGE_COST`·ln n; the cheapest course of states is Viterbi's. Whether chance makes
such a burst is judged apart, exactly: were the n events spread evenly over the examined time, the chance that the k-1 next after a given
one come within the burst's width is a binomial tail, and there are n(n-1)/2 windows that begin and end with an event. Since all of
them are allowed for, the burst may be trimmed to where it is most remarkable.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from agents.skills.happenings import Happening
from agents.skills.significance import binomial_tail, corrected

DENSER = 3.0
"""How much denser than on average a burst is."""
CHANGE_COST = 1.0
"""What it costs to say that a burst begins, times ln n."""
RESOLUTION_S = 1.0
"""A shorter burst counts as this long, in seconds: what is written at once is often dated at once."""
EVENTS_MIN = 5
"""Fewer events of a kind have no bursts."""


class Burst(msgspec.Struct, frozen=True, kw_only=True):
    """From `start` to `end` (seconds since 1970) there were `support` events of this kind, where `expected` would be its average."""

    kind: str
    start: float
    end: float
    support: int
    share: float
    expected: float
    p: float
    q: float
    episodes: list[str]


def bursts(happenings: Sequence[Happening], q_max: float, evidence_max: int) -> list[Burst]:
    """The bursts of each kind within the time that `happenings` span, surest first."""
    if not happenings:
        return []
    begin, end = min(h.at for h in happenings), max(h.at for h in happenings)
    by_kind: dict[str, list[Happening]] = {}
    for h in sorted(happenings, key=lambda h: (h.at, h.id)):
        by_kind.setdefault(h.kind, []).append(h)
    many = {kind: row for kind, row in sorted(by_kind.items()) if len(row) >= EVENTS_MIN}
    found = [b for row in many.values() for b in _of_kind(row, end - begin, evidence_max)]
    rates = corrected([b.p for b in found], len(many))
    told = [msgspec.structs.replace(b, q=q) for b, q in zip(found, rates, strict=True) if q <= q_max]
    return sorted(told, key=lambda b: (b.q, b.p, b.start, b.kind))


def _of_kind(row: Sequence[Happening], span_s: float, evidence_max: int) -> list[Burst]:
    if span_s <= RESOLUTION_S:
        return []
    times = [h.at for h in row]
    return [_burst(row, *trimmed(times, first, last, span_s), span_s, evidence_max) for first, last in dense(times, span_s)]


def _burst(row: Sequence[Happening], first: int, last: int, span_s: float, evidence_max: int) -> Burst:
    inside, share_of_time = row[first : last + 1], _share(row[last].at - row[first].at, span_s)
    return Burst(
        kind=row[0].kind,
        start=inside[0].at,
        end=inside[-1].at,
        support=len(inside),
        share=len(inside) / len(row),
        expected=len(row) * share_of_time,
        p=chance(len(inside), len(row), share_of_time),
        q=1.0,
        episodes=[h.id for h in inside[:evidence_max]],
    )


def _share(width_s: float, span_s: float) -> float:
    return min(1.0, max(RESOLUTION_S, width_s) / span_s)


def trimmed(times: Sequence[float], first: int, last: int, span_s: float) -> tuple[int, int]:
    """The stretch without those events at its ends that make it less remarkable: the automaton is slow to leave a state.

    How remarkable is the likelihood ratio of the scan statistic (Kulldorff 1997).
    """

    def remarkable(first: int, last: int) -> tuple[float, int]:
        count, mean = last - first + 1, len(times) * _share(times[last] - times[first], span_s)
        return (count * math.log(count / mean) - (count - mean) if count > mean else 0.0), count

    last = max(range(first + 1, last + 1), key=lambda n: remarkable(first, n))
    first = max(range(first, last), key=lambda n: remarkable(n, last))
    return first, last


def chance(inside: int, total: int, share_of_time: float) -> float:
    """The chance that somewhere so many of `total` evenly spread events come within this share of the time (a scan statistic)."""
    return min(1.0, math.comb(total, 2) * binomial_tail(inside - 1, total - 1, share_of_time))


def dense(times: Sequence[float], span_s: float) -> list[tuple[int, int]]:
    """The stretches in the dense state, as places of their first and last event. `times` ascend."""
    rates = (len(times) / span_s, DENSER * len(times) / span_s)
    begins = CHANGE_COST * math.log(len(times))
    costs, before = (0.0, begins), []
    for earlier, later in pairwise(times):
        into_calm = 0 if costs[0] <= costs[1] else 1
        into_dense = 1 if costs[1] <= costs[0] + begins else 0
        before.append((into_calm, into_dense))
        gap_s = later - earlier
        costs = (
            costs[into_calm] + rates[0] * gap_s - math.log(rates[0]),
            min(costs[1], costs[0] + begins) + rates[1] * gap_s - math.log(rates[1]),
        )
    return _stretches(before, 0 if costs[0] <= costs[1] else 1)


def _stretches(before: Sequence[tuple[int, int]], last_state: int) -> list[tuple[int, int]]:
    """Back through the states of the gaps: a dense gap makes both its events part of the stretch."""
    states, state = [], last_state
    for choice in reversed(before):
        states.append(state)
        state = choice[state]
    found: list[tuple[int, int]] = []
    for n, state in enumerate(reversed(states)):
        if not state:
            continue
        if found and found[-1][1] == n:
            found[-1] = (found[-1][0], n + 1)
        else:
            found.append((n, n + 1))
    return found
