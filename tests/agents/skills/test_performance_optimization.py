"""Profiles whose hot spots are known."""

import cProfile
import pstats
from typing import Any

import pytest

from agents.skills.performance_optimization import Measured, Optimisation, Row, optimise, read, speed_up
from agents.skills.skill import SkillError
from agents.skills.slowness import Facts, advise

STACKS = ["main;load;parse 60", "main;load;read 20", "main;work 15", "main 5", "main;work;parse 0", ""]


def found(**measured: Any) -> Optimisation:
    asked = Measured(**measured)
    return optimise(read(asked), asked.top)


class TestStacks:
    def test_own_and_total_by_hand(self) -> None:
        spots = {s.function: s for s in found(stacks=STACKS).hot_spots}
        assert {name: (s.own, s.total) for name, s in spots.items()} == {
            "parse": (60, 60), "read": (20, 20), "work": (15, 15), "main": (5, 100), "load": (0, 80),
        }  # fmt: skip
        assert [s.function for s in found(stacks=STACKS).hot_spots][:2] == ["parse", "read"]

    def test_the_ways_to_a_function(self) -> None:
        parse = found(stacks=[*STACKS, "main;work;parse 10"]).hot_spots[0]
        assert [(p.path, round(p.share, 3)) for p in parse.paths] == [
            (["main", "load", "parse"], round(60 / 110, 3)), (["main", "work", "parse"], round(10 / 110, 3)),
        ]  # fmt: skip

    def test_recursion_is_counted_once(self) -> None:
        [spot] = found(stacks=["fib;fib;fib 8", "fib;fib 2"]).hot_spots
        assert (spot.own, spot.total, spot.total_share) == (10, 10, 1.0)
        assert any("calls itself" in sentence for sentence in spot.advice)

    @pytest.mark.parametrize("line", ["main", "main ", "12", "main;work many", ";;; 3", "main -5", "main 1.5", "main ٣"])
    def test_what_is_no_stack_is_refused_with_its_line(self, line: str) -> None:
        with pytest.raises(SkillError, match=r"\$\.stacks\[1\]") as e:
            found(stacks=["main 1", line])
        assert e.value.code == "bad_input"


class TestRows:
    def test_what_cprofile_says(self) -> None:
        profile = cProfile.Profile()
        profile.enable()
        sum(n * n for n in range(20_000))
        profile.disable()
        stats: Any = pstats.Stats(profile)
        rows = [
            Row(function=name, calls=ncalls, self_s=own, total_s=total) for (_, _, name), (_, ncalls, own, total, _) in stats.stats.items()
        ]
        told = found(rows=rows)
        assert told.total == pytest.approx(stats.total_tt, rel=1e-4)
        assert told.hot_spots[0].function in {"<genexpr>", "<built-in method builtins.sum>"}

    def test_the_same_function_twice_is_added_up(self) -> None:
        row = Row(function="f", calls=2, self_s=1.0, total_s=1.0)
        [spot] = found(rows=[row, row]).hot_spots
        assert (spot.own, spot.calls) == (2.0, 4)


class TestAmdahl:
    def test_by_hand(self) -> None:
        assert speed_up(0.5, 2) == pytest.approx(4 / 3)
        assert speed_up(0.9, 10) == pytest.approx(1 / 0.19)

    def test_the_bounds_of_each_spot(self) -> None:
        parse = found(stacks=STACKS).hot_spots[0]
        assert (parse.twice_as_fast, parse.ten_times_as_fast, parse.free) == (1.42857, 2.17391, 2.5)
        assert parse.without_it == 2.5
        assert found(stacks=["main 7"]).hot_spots[0].free is None  # nothing else would be left


class TestAdvice:
    def spot(self, function: str, **facts: Any) -> list[str]:
        return advise(Facts(**{"function": function, "own_share": 0.3, "total_share": 0.3, **facts}))

    @pytest.mark.parametrize(
        ("function", "word"),
        [
            ("time.sleep", "waits"), ("{method 'acquire' of '_thread.lock' objects}", "waits"), ("cursor.execute", "database"),
            ("re._compile", "compiled"), ("json.loads", "converts"), ("sorted", "list"), ("<listcomp>", "loop"),
        ],
    )  # fmt: skip
    def test_by_the_name(self, function: str, word: str) -> None:
        assert any(word in sentence for sentence in self.spot(function))

    def test_a_name_within_a_name_is_no_sign(self) -> None:
        assert self.spot("relocker") == self.spot("sleepless") == []

    def test_by_the_figures(self) -> None:
        assert any("many cheap calls" in s for s in self.spot("f", calls=1_000_000, own_s_per_call=1e-7))
        assert any("few dear calls" in s for s in self.spot("f", calls=2, own_s_per_call=1.0))

    def test_where_callees_have_the_time(self) -> None:
        assert advise(Facts(function="main", own_share=0.01, total_share=1.0)) == [
            "the time is spent in what it calls: call that less, or look there"
        ]

    def test_what_hardly_counts_needs_none(self) -> None:
        assert advise(Facts(function="sleep", own_share=0.01, total_share=0.01)) == []

    def test_on_the_whole(self) -> None:
        assert found(stacks=STACKS).advice == ["1 of 5 functions have 60% of the time in themselves: begin there"]
        assert "flat" in found(stacks=[f"main;f{n} 1" for n in range(100)]).advice[0]


class TestBounds:
    def test_nothing_measured(self) -> None:
        assert found(stacks=["main 0"]).advice == ["nothing was measured"]

    @pytest.mark.parametrize("measured", [{}, {"rows": [Row(function="f", self_s=1, total_s=1)], "stacks": ["f 1"]}])
    def test_neither_or_both_is_refused(self, measured: dict[str, Any]) -> None:
        with pytest.raises(SkillError, match="either"):
            found(**measured)

    def test_only_so_many_spots(self) -> None:
        assert len(found(stacks=[f"main;f{n} {n}" for n in range(1, 50)], top=3).hot_spots) == 3

    def test_a_deep_stack_has_a_bounded_way(self) -> None:
        [spot] = [s for s in found(stacks=[";".join(f"f{n}" for n in range(3_000)) + " 1"], top=1).hot_spots if s.own]
        assert len(spot.paths[0].path) == 30
