"""Candidates: for each source the few others that may tell of the same, without comparing all with all.

Blocking on terms: sources that share one of their heaviest terms, or claim something of one thing, meet. Where many share
it, each meets only those nearest in (agent, session, time), as the sorted-neighbourhood method does (Hernández and Stolfo
1995). Sources that refer to each other meet; and by vectors, the nearest few of each. So n sources have O(n·k) pairs.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np

from memory.consolidation.likeness import MEANING_OFFSET, SAME_AGENT_MIN, Profile

BLOCKING_TERMS_MAX: Final = 12
"""Heaviest terms of a source by which it meets others."""
REACH: Final = 24
"""How many of those that follow it in a block a source meets."""
CANDIDATES_MAX: Final = 32
"""Most others that one source is compared with by its words: those it meets most."""
NEAREST_MAX: Final = 8
"""Most others that one source is compared with by its vector."""
ROWS_AT_A_TIME: Final = 512
"""Rows of the matrix of cosines that are in memory at a time."""

Pair = tuple[int, int]


def candidates(found: Sequence[Profile]) -> list[Pair]:
    """Pairs of places in `found`, the smaller first, in order. A pair of sources that were both looked at before is none."""
    met = _met(found)
    pairs = {_pair(i, j) for i, others in enumerate(met) for j in _most(others)}
    pairs |= set(_linked(found))
    pairs |= set(_nearest(found))
    return sorted((i, j) for i, j in pairs if found[i].source.is_new or found[j].source.is_new)


def _met(found: Sequence[Profile]) -> list[Counter[int]]:
    """For each source, whom it meets, and how much they share there."""
    order = sorted(range(len(found)), key=lambda i: (found[i].source.agent, found[i].source.session or "", found[i].source.order))
    blocks: dict[str, list[int]] = defaultdict(list)
    for i in order:
        for key in blocking_keys(found[i]):
            blocks[key].append(i)
    met: list[Counter[int]] = [Counter() for _ in found]
    for key, block in blocks.items():
        for place, i in enumerate(block):
            share = found[i].weights.get(key, 1.0)
            for j in block[place + 1 : place + 1 + REACH]:
                shared = share * found[j].weights.get(key, 1.0)
                met[i][j] += shared  # type: ignore[assignment]
                met[j][i] += shared  # type: ignore[assignment]
    return met


def blocking_keys(profile: Profile) -> tuple[str, ...]:
    """Where a source meets others: its heaviest terms, and what it makes claims about."""
    return (*islice(profile.weights, BLOCKING_TERMS_MAX), *sorted(profile.about))


def _most(others: Counter[int]) -> list[int]:
    return sorted(others, key=lambda j: (-others[j], j))[:CANDIDATES_MAX]


def _linked(found: Sequence[Profile]) -> Iterator[Pair]:
    places = {profile.source.id: i for i, profile in enumerate(found)}
    for i, profile in enumerate(found):
        yield from (_pair(i, places[link]) for link in profile.source.links if places.get(link, i) != i)


def _nearest(found: Sequence[Profile]) -> Iterator[Pair]:
    """The nearest by vectors, as far as that alone could make them tell of the same. Exact: one product of matrices, in slices."""
    rows = [i for i, profile in enumerate(found) if profile.source.vector is not None]
    if len(rows) < 2:
        return
    matrix = np.stack([found[i].source.vector for i in rows])
    for start in range(0, len(rows), ROWS_AT_A_TIME):
        cosines = matrix[start : start + ROWS_AT_A_TIME] @ matrix.T
        for offset, row in enumerate(cosines):
            row[start + offset] = -1.0
            yield from (_pair(rows[start + offset], rows[j]) for j in _best(row))


def _best(row: Any) -> list[int]:
    near = np.flatnonzero(row >= SAME_AGENT_MIN + MEANING_OFFSET)
    order = near[np.argsort(-row[near], kind="stable")]
    return [int(j) for j in order[:NEAREST_MAX]]


def _pair(i: int, j: int) -> Pair:
    return (i, j) if i < j else (j, i)
