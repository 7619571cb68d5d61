"""Tail probabilities against values computed by hand and by counting."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.skills.significance import binomial_tail, corrected, fisher, trials_tail


class TestFisher:
    def test_the_lady_who_tasted_tea(self) -> None:
        """Eight cups, four with milk first: all four found is one way of 70, three or more are 1 + 16 of 70."""
        assert fisher(4, 4, 4, 8) == pytest.approx(1 / 70)
        assert fisher(3, 4, 4, 8) == pytest.approx(17 / 70)

    def test_what_must_be_is_no_surprise(self) -> None:
        assert fisher(0, 3, 3, 10) == 1.0
        assert fisher(2, 6, 6, 10) == 1.0  # 6 and 6 of 10 meet at least twice
        assert fisher(5, 10, 5, 10) == pytest.approx(1.0)  # the first has everything

    @given(st.data())
    def test_it_is_the_share_of_the_ways(self, data: st.DataObject) -> None:
        total = data.draw(st.integers(1, 30))
        first, second = data.draw(st.integers(0, total)), data.draw(st.integers(0, total))
        both = data.draw(st.integers(max(0, first + second - total), min(first, second)))
        ways = sum(math.comb(first, k) * math.comb(total - first, second - k) for k in range(both, min(first, second) + 1))
        assert fisher(both, first, second, total) == pytest.approx(float(Fraction(ways, math.comb(total, second))))

    def test_large_tables_neither_overflow_nor_take_long(self) -> None:
        assert 0.0 <= fisher(5_000, 5_000, 5_000, 10_000) < 1e-300
        assert fisher(2_500, 5_000, 5_000, 10_000) == pytest.approx(0.508, abs=0.001)


class TestBinomial:
    def test_by_hand(self) -> None:
        assert binomial_tail(2, 3, 0.5) == pytest.approx(0.5)
        assert binomial_tail(1, 2, 0.1) == pytest.approx(0.19)
        assert (binomial_tail(0, 3, 0.0), binomial_tail(1, 3, 0.0), binomial_tail(3, 3, 1.0), binomial_tail(4, 3, 0.5)) == (1, 0, 1, 0)

    def test_many_rare_tries_are_a_poisson_process(self) -> None:
        """With mean 1, three or more: 1 - e^-1 (1 + 1 + 1/2)."""
        assert binomial_tail(3, 1_000_000, 1e-6) == pytest.approx(1 - 2.5 / math.e, rel=1e-5)

    def test_beyond_the_mode_and_before_it(self) -> None:
        below = sum(math.comb(50, k) for k in range(10)) / 2**50
        assert binomial_tail(10, 50, 0.5) == pytest.approx(1 - below)


class TestTrials:
    def test_by_hand(self) -> None:
        chances = np.array([0.1, 0.2, 0.3])
        assert trials_tail(3, chances) == pytest.approx(0.006)
        assert trials_tail(2, chances) == pytest.approx(0.1 * 0.2 * 0.7 + 0.1 * 0.8 * 0.3 + 0.9 * 0.2 * 0.3 + 0.006)

    def test_equal_chances_are_binomial(self) -> None:
        assert trials_tail(18, np.full(40, 0.25)) == pytest.approx(binomial_tail(18, 40, 0.25))

    def test_near_the_mean_it_is_never_below_the_truth(self) -> None:
        for successes in range(41):
            assert trials_tail(successes, np.full(40, 0.25)) >= binomial_tail(successes, 40, 0.25) - 1e-12

    def test_what_cannot_be_and_what_must_be(self) -> None:
        assert trials_tail(2, np.array([0.5, 0.0])) < 0.5
        assert trials_tail(3, np.array([1.0, 1.0])) == 0.0
        assert trials_tail(2, np.array([1.0, 1.0])) == 1.0
        assert trials_tail(0, np.array([])) == 1.0


class TestCorrection:
    def test_the_procedure_of_benjamini_and_hochberg(self) -> None:
        assert corrected([0.01, 0.02, 0.03, 0.04], 4) == pytest.approx([0.04] * 4)
        assert corrected([0.04, 0.001], 2) == pytest.approx([0.04, 0.002])

    def test_what_was_not_seen_was_tested_too(self) -> None:
        assert corrected([0.01, 0.5], 10) == pytest.approx([0.1, 1.0])

    def test_nothing_is_corrected_to_nothing(self) -> None:
        assert corrected([], 100) == []
