"""How the score of a hit goes on along the graph: the arithmetic."""

import pytest

from memory.spreading import spread

LOOSE = {"damping": 0.5, "rounds": 50}


class TestSpread:
    def test_without_edges_nothing_changes(self) -> None:
        assert spread({"a": 0.3, "b": 0.2}, [], **LOOSE) == {"a": 0.3, "b": 0.2}

    def test_a_neighbour_of_a_hit_gets_a_share(self) -> None:
        after = spread({"a": 1.0}, [("a", "b", 1.0)], damping=0.5, rounds=1)
        assert after == {"a": 1.0, "b": 0.5}

    def test_it_is_personalised_page_rank_but_for_the_factor(self) -> None:
        """p = s + d·Wᵀp, solved by hand for a–b, b–c with s = (1, 0, 0)."""
        after = spread({"a": 1.0}, [("a", "b", 1.0), ("b", "c", 1.0)], **LOOSE)
        assert after["a"] == pytest.approx(1 + 0.25 * after["b"])
        assert after["b"] == pytest.approx(0.5 * after["a"] + 0.5 * after["c"])
        assert after["c"] == pytest.approx(0.25 * after["b"])

    def test_a_hit_that_others_lead_to_passes_one_that_stands_alone(self) -> None:
        after = spread({"alone": 0.11, "met": 0.1, "near": 0.1}, [("met", "near", 1.0)], **LOOSE)
        assert after["met"] > after["alone"]

    def test_no_hit_loses(self) -> None:
        scores = {"hub": 0.5, "other": 0.2}
        after = spread(scores, [("hub", f"n{n}", 1.0) for n in range(100)] + [("other", "n1", 1.0)], **LOOSE)
        assert all(after[node] >= score for node, score in scores.items())

    def test_the_stronger_edge_takes_more(self) -> None:
        after = spread({"a": 1.0}, [("a", "strong", 1.0), ("a", "weak", 0.25)], damping=0.5, rounds=1)
        assert (after["strong"], after["weak"]) == (pytest.approx(0.4), pytest.approx(0.1))

    def test_the_sum_is_bounded_by_the_damping(self) -> None:
        links = [(f"n{a}", f"n{b}", 1.0) for a in range(10) for b in range(a)]
        after = spread({"n0": 1.0, "n5": 0.5}, links, **LOOSE)
        assert sum(after.values()) <= 1.5 / (1 - 0.5) + 1e-9
