"""Significance: exact tail probabilities, and their correction where many things are tested at once.

Logarithms of factorials come from `math.lgamma`; sums end where what is left is too small
to change them. Every p-value is one-sided: the chance of at least as much, where nothing is going on.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

SIGNIFICANCE = 0.05
"""Share of false findings that is put up with among all that are reported (false discovery rate)."""
NEGLIGIBLE = 1e-17
"""A term smaller than this share of the sum so far changes it no more."""


def fisher(both: int, first: int, second: int, total: int) -> float:
    """Fisher's exact test (1935): the chance that two properties which `first` and `second` of `total` things have meet in `both`
    of them or more, were they dealt out independently. The tail of the hypergeometric distribution.
    """
    if both <= max(0, first + second - total):
        return 1.0
    ways = _log_choose(total, second)
    return _tail(_log_choose(first, k) + _log_choose(total - first, second - k) - ways for k in range(both, min(first, second) + 1))


def binomial_tail(successes: int, tries: int, chance: float) -> float:
    """The chance of `successes` or more in `tries`, each with `chance`."""
    if successes <= 0:
        return 1.0
    if chance <= 0.0 or successes > tries:
        return 0.0
    if chance >= 1.0:
        return 1.0
    yes, no = math.log(chance), math.log1p(-chance)
    return _tail(_log_choose(tries, k) + k * yes + (tries - k) * no for k in range(successes, tries + 1))


def trials_tail(successes: int, chances: NDArray[np.float64]) -> float:
    """The chance of `successes` or more where each try has a chance of its own (Poisson binomial), by adding one try after the other.

    Within two standard deviations of the mean, where it cannot be small, Cantelli's inequality is the answer: an upper bound.
    """
    if successes <= 0:
        return 1.0
    mean, variance = float(chances.sum()), float((chances * (1.0 - chances)).sum())
    if successes - mean < 2.0 * math.sqrt(variance):
        return variance / (variance + max(0.0, successes - mean) ** 2) if variance else 1.0
    fewer, reached = np.zeros(successes), 0.0  # fewer[k]: exactly k so far; reached: enough so far
    fewer[0] = 1.0
    for chance in chances[chances > 0.0]:
        reached += fewer[-1] * chance
        moved = fewer * chance
        fewer -= moved
        fewer[1:] += moved[:-1]
    return min(1.0, float(reached))


def corrected(p_values: Sequence[float], tested: int) -> list[float]:
    """Benjamini and Hochberg's correction (1995): the false discovery rate at which each would just be reported.

    `tested` counts everything that was or could have been tested, also what is not in `p_values` because it was seen too rarely.
    """
    order = sorted(range(len(p_values)), key=lambda n: p_values[n])
    rates, smallest = [1.0] * len(p_values), 1.0
    for rank in range(len(order), 0, -1):
        smallest = min(smallest, p_values[order[rank - 1]] * max(tested, len(order)) / rank)
        rates[order[rank - 1]] = smallest
    return rates


def _tail(logs: Iterable[float]) -> float:
    total = 0.0
    for log in logs:
        term = math.exp(log)
        total += term
        if term < total * NEGLIGIBLE:
            break
    return min(1.0, total)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
