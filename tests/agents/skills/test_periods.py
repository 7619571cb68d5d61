"""Periods: what comes at intervals is found, what comes by chance is not."""

import random

import pytest

from agents.skills.happenings import Happening
from agents.skills.periods import CHANCE_MAX, Period, commonest, periods
from agents.skills.significance import SIGNIFICANCE
from tests.agents.skills.happened import happened


def at(times: list[float], kind: str = "backup") -> list[Happening]:
    return [happened(n, kind, id=f"{kind}{n}", at=t) for n, t in enumerate(times)]


def found(happenings: list[Happening]) -> list[Period]:
    return periods(happenings, SIGNIFICANCE, 5)


class TestFinding:
    def test_every_ten_minutes_more_or_less(self) -> None:
        rnd = random.Random(1)
        [period] = found(at([600.0 * n + rnd.uniform(-15, 15) for n in range(30)]))
        assert (period.kind, period.agent, period.support) == ("backup", "nexus", 29)
        assert period.period_s == pytest.approx(600, abs=5)

    def test_also_where_some_are_missing(self) -> None:
        [period] = found(at([3_600.0 * n for n in range(40) if n % 7]))
        assert period.period_s == pytest.approx(3_600)
        assert period.share < 1

    def test_each_agent_has_its_own_clock(self) -> None:
        rows = [happened(n, "beat", id=f"{agent}{n}", agent=agent, at=s * n) for agent, s in (("a", 60.0), ("b", 95.0)) for n in range(20)]
        assert {(p.agent, p.period_s) for p in found(rows)} == {("a", 60.0), ("b", 95.0)}


class TestChance:
    def test_the_share_of_exponential_pauses_is_never_larger(self) -> None:
        rnd = random.Random(4)
        pauses = [rnd.expovariate(1.0) for _ in range(100_000)]
        for length in (0.5, 0.9, 1.0, 1.1, 2.0):
            assert sum(0.9 * length <= p <= 1.1 * length for p in pauses) / len(pauses) < CHANCE_MAX + 0.004

    def test_noise_has_no_period_even_where_its_rate_changes(self) -> None:
        worlds = []
        for seed in range(60):
            rnd, now, times = random.Random(seed), 0.0, []
            for n in range(200):
                now += rnd.expovariate(1.0 if n % 100 < 50 else 0.01)
                times.append(now)
            worlds.append(found(at(times)))
        assert sum(bool(world) for world in worlds) <= 4


class TestBounds:
    def test_nothing_few_and_all_at_once(self) -> None:
        assert found([]) == found(at([1.0, 2.0, 3.0])) == found(at([7.0] * 50)) == []

    def test_of_several_the_shortest(self) -> None:
        assert commonest([5.0, 100.0, 5.1, 101.0]) == (5.0, 2)
