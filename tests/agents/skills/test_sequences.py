"""Recurring sequences: planted ones are found, chance yields none."""

import itertools
import math
import random

import numpy as np
import pytest

from agents.skills.sequences import PIECE_LEN_MAX, SKIPPED_MAX, Recurring, cut, expected, recurring, room
from agents.skills.significance import SIGNIFICANCE
from tests.agents.skills.happened import noise, told


def found(sessions: list[list[str]], *, support_min: int = 3, q_max: float = SIGNIFICANCE) -> list[Recurring]:
    return recurring(told(sessions), support_min, q_max, 12)


def steps(patterns: list[Recurring]) -> list[str]:
    return [" ".join(p.steps) for p in patterns]


class TestFinding:
    def test_what_six_sessions_repeat_is_found_whole(self) -> None:
        [pattern] = found([["plan", "code", "test"]] * 6)
        assert (pattern.steps, pattern.support, pattern.share) == (("plan", "code", "test"), 6, 1.0)
        assert pattern.expected == pytest.approx(1.0)  # one order of six, in six sessions
        assert pattern.p == pytest.approx(6**-6)
        assert pattern.episodes[:3] == ["0.0", "0.1", "0.2"]

    def test_a_sequence_planted_in_noise_is_all_that_is_found(self) -> None:
        rnd = random.Random(7)
        sessions = noise(7, 100, 9, 16)
        for row in rnd.sample(sessions, 40):
            at = rnd.randrange(14)
            row[at:at] = ["deploy", "error", "rollback"]
        assert steps(found(sessions)) == ["deploy error rollback"]

    def test_steps_may_have_others_between_them_but_not_many(self) -> None:
        rnd = random.Random(3)

        def session(apart: int) -> list[str]:
            others = rnd.choices("uvwxyz", k=14)
            return [*others[:4], "a", *others[4 : 4 + apart], "b", *others[4 + apart :]]

        assert "a b" in steps(found([session(SKIPPED_MAX) for _ in range(30)]))
        assert found([session(4 * SKIPPED_MAX + 2) for _ in range(30)]) == []

    def test_one_long_session_is_looked_at_in_parts(self) -> None:
        rnd = random.Random(5)
        row: list[str] = []
        for _ in range(40):
            row += ["alarm", "restart", *rnd.choices("uvwxyz", k=12)]
        [pattern] = found([row])
        assert pattern.steps == ("alarm", "restart")
        assert pattern.support > 20

    def test_the_part_of_a_longer_sequence_is_not_told_beside_it(self) -> None:
        assert steps(found([["a", "b", "c", "d"]] * 8)) == ["a b c d"]

    def test_a_pattern_by_itself_does_not_make_whatever_follows_remarkable(self) -> None:
        rnd = random.Random(11)
        sessions = [[*rnd.choices("uvw", k=7), "a", "b", *rnd.choices("uvw", k=7)] for _ in range(80)]
        assert steps(found(sessions)) == ["a b"]


class TestChance:
    @pytest.mark.parametrize("kinds", [2, 5, 12, 30])
    def test_noise_yields_nothing_significant(self, kinds: int) -> None:
        """Twenty worlds of noise: at a false discovery rate of 5 % one may slip through."""
        worlds = [found(noise(seed, 40, kinds, length)) for seed, length in zip(range(20), itertools.cycle([3, 10, 24]), strict=False)]
        assert sum(bool(patterns) for patterns in worlds) <= 1

    def test_a_common_sequence_of_common_actions_is_nothing(self) -> None:
        patterns = found([["a", "a", "b", "b", "a", "b"]] * 5, q_max=1.0)
        assert patterns
        assert all(p.q > SIGNIFICANCE for p in patterns)

    def test_what_is_expected_is_the_mean_over_all_orders(self) -> None:
        row = ["a", "a", "b", "c", "d"]
        orders = list(itertools.permutations(row))
        places = [c for c in itertools.combinations(range(5), 3) if all(j - i <= SKIPPED_MAX + 1 for i, j in itertools.pairwise(c))]
        seen = sum([order[i] for i in place] == ["a", "b", "a"] for order in orders for place in places)
        counts = {kind: np.array([row.count(kind)]) for kind in "abcd"}
        assert expected(("a", "b", "a"), counts, np.array([5]))[0] == pytest.approx(seen / len(orders))

    def test_the_room_for_a_pattern(self) -> None:
        assert room(4, 2) == math.comb(4, 2)
        assert room(5, 2) == math.comb(5, 2) - 1  # the first and the last are too far apart
        assert (room(3, 4), room(0, 1)) == (0, 0)


class TestBounds:
    def test_nothing_and_little_have_no_patterns(self) -> None:
        assert found([]) == found([["a"]]) == found([["a", "b"]]) == []

    def test_one_kind_again_and_again_is_no_sequence(self) -> None:
        assert found([["a"] * 500] * 5) == []

    def test_thousands_of_kinds_and_sessions_have_an_end(self) -> None:
        assert found([[f"k{n}" for n in range(s, s + 3_000)] for s in range(3)]) == []

    def test_more_kinds_and_patterns_than_are_mined_do_no_harm(self) -> None:
        rare = [[f"a{n}", f"b{n}", f"c{n}"] for n in range(150)] * 12
        assert {p.support for p in found(rare)} == {12}
        long = [[f"k{n}" for n in range(24)]] * 4
        assert all(p.support == 4 for p in found(long))

    def test_parts_are_even_and_lose_nothing(self) -> None:
        [sitting] = told([[f"k{n}" for n in range(PIECE_LEN_MAX * 2 + 1)]])
        parts = cut(sitting)
        assert [h for part in parts for h in part] == sitting
        assert {len(part) for part in parts} == {16, 17}

    def test_the_same_input_has_the_same_answer_in_any_order_of_sessions(self) -> None:
        sessions = [*noise(1, 20, 4, 10), *([["x", "y", "z"]] * 8)]
        assert steps(found(sessions)) == steps(found(sessions[::-1])) == ["x y z"]
