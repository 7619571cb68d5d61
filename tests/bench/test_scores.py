"""The figures that the benches of recall report."""

import math

import pytest

from bench.scores import mean, ndcg, recall


class TestRecall:
    def test_all_of_the_evidence_in_time_is_one(self):
        assert recall(["x", "a", "b"], frozenset("ab"), 3) == 1

    def test_what_stands_behind_the_kth_place_is_not_found(self):
        assert recall(["x", "a", "b"], frozenset("ab"), 2) == 0.5

    def test_what_stands_twice_is_found_once(self):
        assert recall(["a", "a"], frozenset("ab"), 10) == 0.5


class TestNdcg:
    def test_evidence_in_the_first_places_is_one_however_much_it_is(self):
        assert ndcg(["a", "b", "x"], frozenset("ab"), 10) == 1
        assert ndcg([f"{n}" for n in range(20)], frozenset(f"{n}" for n in range(15)), 10) == pytest.approx(1)

    def test_a_later_place_gains_less(self):
        assert ndcg(["x", "a"], frozenset("a"), 10) == pytest.approx(1 / math.log2(3))

    def test_what_stands_twice_gains_once_where_it_stands_first(self):
        assert ndcg(["a", "a", "a"], frozenset("ab"), 10) == pytest.approx(1 / (1 + 1 / math.log2(3)))


class TestMean:
    def test_every_question_counts_the_same(self):
        scores = mean([["a"], ["x"]], [frozenset("a"), frozenset("abc")])
        assert (scores.questions, scores.recall_10, scores.ndcg_10, scores.recall_50) == (2, 0.5, 0.5, 0.5)
