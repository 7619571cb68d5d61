"""Bursts: dense times are found with where they lie, even ones are not."""

import random

import pytest

from agents.skills.bursts import Burst, bursts, chance, dense
from agents.skills.happenings import Happening
from agents.skills.significance import SIGNIFICANCE
from tests.agents.skills.happened import happened

DAY_S = 86_400.0


def at(times: list[float], kind: str = "error") -> list[Happening]:
    return [happened(n, kind, id=f"{kind}{n}", at=t) for n, t in enumerate(times)]


def found(happenings: list[Happening]) -> list[Burst]:
    return bursts(happenings, SIGNIFICANCE, 5)


class TestFinding:
    def test_twenty_errors_within_a_minute_of_a_day_are_one_burst(self) -> None:
        rnd = random.Random(3)
        scattered = [rnd.uniform(0, DAY_S) for _ in range(50)]
        [burst] = found([*at(scattered), *at([40_000.0 + 3 * n for n in range(20)], "error")])
        assert (burst.kind, burst.start, burst.end, burst.support) == ("error", 40_000.0, 40_057.0, 20)
        assert burst.expected == pytest.approx(70 * 57 / max(scattered), rel=0.02)
        assert len(burst.episodes) == 5

    def test_two_bursts_are_told_apart(self) -> None:
        times = [*(1_000.0 + n for n in range(15)), *(50_000.0 + n for n in range(15)), DAY_S, 0.0]
        assert sorted((b.start, b.support) for b in found(at(times))) == [(1_000.0, 15), (50_000.0, 15)]

    def test_a_kind_that_comes_in_one_hour_of_a_day_is_a_burst_of_that_hour(self) -> None:
        calm = at([1_000.0 * n for n in range(87)], "beat")
        [burst] = found([*calm, *at([30_000.0 + 360 * n for n in range(10)], "deploy")])
        assert (burst.kind, burst.support, burst.share) == ("deploy", 10, 1.0)


class TestChance:
    def test_the_scan_by_hand(self) -> None:
        """Two of three within a tenth of the time: 3 windows, each with 1 - 0.9² = 0.19."""
        assert chance(2, 3, 0.1) == pytest.approx(0.57)
        assert chance(3, 3, 0.1) == pytest.approx(3 * 0.01)
        assert chance(2, 3, 1.0) == 1.0

    def test_evenly_spread_noise_has_no_bursts(self) -> None:
        worlds = []
        for seed in range(40):
            rnd = random.Random(seed)
            worlds.append(found([h for k in range(4) for h in at([rnd.uniform(0, DAY_S) for _ in range(60)], f"k{k}")]))
        assert sum(bool(world) for world in worlds) <= 4

    def test_a_clock_has_no_bursts(self) -> None:
        assert found(at([60.0 * n for n in range(500)])) == []


class TestBounds:
    def test_nothing_one_and_few(self) -> None:
        assert found([]) == found(at([1.0])) == found(at([1.0, 2.0])) == []

    def test_everything_at_one_moment_is_no_burst(self) -> None:
        assert found(at([5.0] * 1_000)) == []

    def test_many_at_one_moment_within_a_day_are_one(self) -> None:
        [burst] = found(at([0.0, *([5_000.0] * 30), DAY_S]))
        assert (burst.start, burst.end, burst.support) == (5_000.0, 5_000.0, 30)

    def test_ten_thousand_have_an_end(self) -> None:
        rnd = random.Random(1)
        assert len(found(at([rnd.uniform(0, DAY_S) for _ in range(10_000)]))) <= 1

    def test_a_burst_of_thousands_has_an_end_too(self) -> None:
        rnd = random.Random(1)
        times = [rnd.uniform(0, DAY_S) for _ in range(5_000)] + [rnd.uniform(40_000, 45_000) for _ in range(5_000)]
        [burst] = found(at(times))
        assert 5_000 < burst.support < 5_500

    def test_the_automaton_stays_calm_for_two(self) -> None:
        assert dense([0.0, 50.0], 100.0) == []
