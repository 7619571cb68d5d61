"""Recurring sequences: action types that follow each other again and again, and whether chance would do that too.

Frequent subsequences by growing prefixes (PrefixSpan, Pei et al. 2001), level by level, with at most `SKIPPED_MAX` other actions
between two steps; of those that stand in the same pieces only the longest are told (closed sequences, Wang and Han 2004). Support
is counted in pieces: a sitting, or an even part of a long one.

Chance is the same actions of each piece in random order. What is expected of a pattern in a piece is then the number of places for
it times the chance that its actions stand there, exactly; at most that is the chance to see it at all (Markov), and the
chances of the pieces add up to a p-value (`trials_tail`). A third or later step must also add something: see `_Earning`.
"""

import functools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from agents.skills.happenings import Happening
from agents.skills.significance import SIGNIFICANCE, corrected, trials_tail

PIECE_LEN_MAX = 24
"""Most happenings of one piece; a longer sitting is cut evenly. In a longer piece everything follows everything somewhere."""
SKIPPED_MAX = 2
"""Most other actions between two steps of a pattern."""
STEPS_MAX = 5
"""Most steps of a pattern."""
PATTERNS_MAX = 2_000
"""Most patterns of one length that are grown further, those with the highest support first."""
KINDS_MAX = 200
"""Most different action types that are looked at, the commonest first."""

Numbers = NDArray[Any]
Pattern = tuple[str, ...]
Places = dict[int, int]
"""By piece, the places where an occurrence may end, as the bits of a number."""


class Recurring(msgspec.Struct, frozen=True, kw_only=True):
    """A pattern: in how many pieces it stands, in how many it would by chance, and where (ids, one occurrence a piece)."""

    steps: Pattern
    support: int
    share: float
    expected: float
    p: float
    q: float
    episodes: list[str]


class _Pieces:
    """The pieces, and how often each holds each action, as rows of numbers."""

    def __init__(self, sittings: Sequence[Sequence[Happening]]) -> None:
        self.rows = [part for sitting in sittings for part in cut(sitting)]
        self.kinds = [[h.kind for h in row] for row in self.rows]
        self.places = [{kind: sum(1 << i for i, k in enumerate(row) if k == kind) for kind in dict.fromkeys(row)} for row in self.kinds]
        self.lengths = np.array([len(row) for row in self.rows])
        self.counts = {kind: np.array([row.count(kind) for row in self.kinds]) for kind in sorted({k for row in self.kinds for k in row})}


def recurring(sittings: Sequence[Sequence[Happening]], support_min: int, q_max: float, evidence_max: int) -> list[Recurring]:
    """The closed patterns that at least `support_min` pieces hold and whose false discovery rate is at most `q_max`, surest first."""
    pieces = _Pieces(sittings)
    found = _mined(pieces, support_min)
    judged = [_judged(pattern, places, pieces) for pattern, places in found.items()]
    earning = _Earning(found, pieces)
    sure = {r.steps: r for r in _corrected(judged, len(pieces.counts)) if r.q <= q_max and earning(r.steps)}
    told = [sure[pattern] for pattern in _closed({pattern: found[pattern] for pattern in sure})]
    told.sort(key=lambda r: (r.q, r.p, -r.support, -len(r.steps), r.steps))
    return [msgspec.structs.replace(r, episodes=_evidence(r.steps, found[r.steps], pieces, evidence_max)) for r in told]


def cut(sitting: Sequence[Happening]) -> list[Sequence[Happening]]:
    """The sitting in as few even parts as the limit allows."""
    parts = math.ceil(len(sitting) / PIECE_LEN_MAX)
    edges = [len(sitting) * n // parts for n in range(parts + 1)] if parts else [0]
    return [sitting[a:b] for a, b in pairwise(edges)]


# Mining


def _mined(pieces: _Pieces, support_min: int) -> dict[Pattern, Places]:
    """Every frequent pattern of two steps and more, with where it ends."""
    level = _frequent(_singles(pieces), support_min, KINDS_MAX)
    found: dict[Pattern, Places] = {}
    for _ in range(STEPS_MAX - 1):
        grown: dict[Pattern, Places] = {}
        for pattern, places in level.items():
            _grow(pattern, places, pieces, grown)
        level = _frequent(grown, support_min, PATTERNS_MAX)
        found |= level
    return found


def _singles(pieces: _Pieces) -> dict[Pattern, Places]:
    singles: dict[Pattern, Places] = {}
    for n, places in enumerate(pieces.places):
        for kind, ends in places.items():
            singles.setdefault((kind,), {})[n] = ends
    return singles


def _grow(pattern: Pattern, places: Places, pieces: _Pieces, grown: dict[Pattern, Places]) -> None:
    """Add the patterns that are one step longer to `grown`."""
    for n, ends in places.items():
        within_reach = functools.reduce(int.__or__, (ends << step for step in range(1, SKIPPED_MAX + 2)))
        for kind, there in pieces.places[n].items():
            if within_reach & there:
                grown.setdefault((*pattern, kind), {})[n] = within_reach & there


def _frequent(patterns: Mapping[Pattern, Places], support_min: int, most: int) -> dict[Pattern, Places]:
    kept = [(p, places) for p, places in patterns.items() if len(places) >= support_min]
    return dict(sorted(kept, key=lambda item: (-len(item[1]), item[0]))[:most])


def _closed(found: Mapping[Pattern, Places]) -> list[Pattern]:
    """Those that are not part of a longer one which stands in the same pieces."""
    alike: dict[frozenset[int], list[Pattern]] = {}
    for pattern in sorted(found, key=lambda p: (-len(p), p)):
        kept = alike.setdefault(frozenset(found[pattern]), [])
        if not any(_within(pattern, longer) for longer in kept):
            kept.append(pattern)
    return [pattern for kept in alike.values() for pattern in kept]


def _within(pattern: Pattern, longer: Pattern) -> bool:
    rest = iter(longer)
    return len(longer) > len(pattern) and all(kind in rest for kind in pattern)


# Judging


def _judged(pattern: Pattern, places: Places, pieces: _Pieces) -> Recurring:
    chances = np.minimum(1.0, expected(pattern, pieces.counts, pieces.lengths))
    return Recurring(
        steps=pattern,
        support=len(places),
        share=len(places) / len(pieces.rows),
        expected=float(chances.sum()),
        p=trials_tail(len(places), chances),
        q=1.0,
        episodes=[],
    )


def expected(pattern: Pattern, counts: Mapping[str, Numbers], lengths: Numbers) -> Numbers:
    """How many occurrences of the pattern a random order of each piece's actions has on average."""
    used: Counter[str] = Counter()
    ways = _in_order(len(pattern))[lengths]
    for kind in pattern:
        ways = ways * np.maximum(0, counts[kind] - used[kind])
        used[kind] += 1
    return ways


@functools.cache
def _in_order(steps: int) -> Numbers:
    """By the number of atoms in random order: the chance, over all the places there are, that `steps` given ones stand there."""
    return np.array([room(n, steps) / math.perm(n, steps) if n >= steps else 0.0 for n in range(PIECE_LEN_MAX + 1)])


def room(length: int, steps: int) -> int:
    """In how many ways so many steps can be placed in a row of `length`, with at most `SKIPPED_MAX` places between two."""
    ending = [1] * length
    for _ in range(steps - 1):
        ending = [sum(ending[max(0, i - 1 - SKIPPED_MAX) : i]) for i in range(length)]
    return sum(ending)


class _Earning:
    """Whether the first and the last step of a pattern each add something to the others (productive patterns, Webb 2010).

    Else `a → b` by itself would make `a → b → anything` remarkable. In the pieces that hold the others, these are taken as one
    block, the actions put in random order again, and the step must stand beside the block more often than that explains. A
    step that comes less than half of the time is one of many that might have done so by chance: the test is the stricter.
    """

    def __init__(self, found: Mapping[Pattern, Places], pieces: _Pieces) -> None:
        self._found = found
        self._pieces = pieces
        self._rare_p_max = SIGNIFICANCE / max(1, len(pieces.counts)) ** 2
        self._known: dict[Pattern, bool] = {}

    def __call__(self, pattern: Pattern) -> bool:
        if pattern not in self._known:
            parts = ((pattern[0], pattern[1:]), (pattern[-1], pattern[:-1]))
            self._known[pattern] = len(pattern) < 3 or all(self(block) and self._adds(pattern, step, block) for step, block in parts)
        return self._known[pattern]

    def _adds(self, pattern: Pattern, step: str, block: Pattern) -> bool:
        if block not in self._found:  # one of too many to be mined
            return False
        support, holders = len(self._found[pattern]), list(self._found[block])
        blocks = np.array([ends.bit_count() for ends in self._found[block].values()])
        atoms = np.maximum(2, self._pieces.lengths[holders] - blocks * (len(block) - 1))
        steps = np.maximum(1, self._pieces.counts[step][holders] - blocks * block.count(step))
        chances = np.minimum(1.0, steps * blocks * _in_order(2)[atoms])
        chances[self._pieces.counts[step][holders] <= block.count(step)] = 0.0
        return trials_tail(support, chances) <= (SIGNIFICANCE if 2 * support >= len(holders) else self._rare_p_max)


def _corrected(told: Sequence[Recurring], kinds: int) -> list[Recurring]:
    """Each length has its share of the false discovery rate, and as many tests as there are patterns of it (Webb 2008)."""
    done: list[Recurring] = []
    for steps in range(2, STEPS_MAX + 1):
        layer = [r for r in told if len(r.steps) == steps]
        rates = corrected([r.p for r in layer], kinds**steps)
        done += [msgspec.structs.replace(r, q=min(1.0, q * (STEPS_MAX - 1))) for r, q in zip(layer, rates, strict=True)]
    return done


def _evidence(pattern: Pattern, places: Places, pieces: _Pieces, most: int) -> list[str]:
    ids: list[str] = []
    for n in sorted(places):
        if len(ids) + len(pattern) > most:
            break
        ids += [pieces.rows[n][i].id for i in _occurrence(pattern, pieces.kinds[n])]
    return ids


def _occurrence(pattern: Pattern, kinds: Sequence[str], start: int | None = None) -> list[int]:
    """The places of the first occurrence; empty where there is none."""
    if not pattern:
        return []
    ahead = range(len(kinds)) if start is None else range(start + 1, min(start + 2 + SKIPPED_MAX, len(kinds)))
    for i in ahead:
        if kinds[i] == pattern[0]:
            rest = _occurrence(pattern[1:], kinds, i)
            if len(rest) == len(pattern) - 1:
                return [i, *rest]
    return []
