"""How well an agent does what it does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.tasks.success import KEPT_MAX, Expected, SuccessBook
from tests.agents.tasks.story import at

DAY_S = 86_400.0


def kept(*outcomes: tuple[str, str | None, bool], half_life_s: float = DAY_S) -> SuccessBook:
    """A book of outcomes at one moment."""
    book = SuccessBook(half_life_s)
    for skill, domain, success in outcomes:
        book.count([skill], domain, at(0), success=success)
    return book


class TestExpected:
    def test_without_outcomes_it_is_beta_1_1(self) -> None:
        expected = SuccessBook(DAY_S).expected("a", None, at(0))
        assert (expected.mean, expected.deviation) == (0.5, pytest.approx((1 / 12) ** 0.5))

    def test_outcomes_of_the_skill_move_it(self) -> None:
        book = kept(("a", None, True), ("a", None, True), ("a", None, False))
        assert book.expected("a", None, at(0)).mean == pytest.approx(3 / 5)

    def test_a_skill_that_was_never_tried_is_expected_to_go_as_the_others_do(self) -> None:
        book = kept(*[("a", None, True)] * 8)
        assert book.expected("b", None, at(0)) == Expected(prior=0.9)

    def test_a_domain_that_was_never_tried_is_expected_to_go_as_the_skill_does(self) -> None:
        book = kept(*[("a", "web", True)] * 8)
        assert book.expected("a", "db", at(0)).mean == pytest.approx(0.9)

    def test_few_outcomes_in_a_domain_do_not_overrule_the_skill_and_many_do(self) -> None:
        good = [("a", "web", True)] * 18
        few, many = kept(*good, ("a", "db", False)), kept(*good, *[("a", "db", False)] * 30)
        assert few.expected("a", "db", at(0)).mean == pytest.approx(2 * 0.95 / 3)
        assert many.expected("a", "db", at(0)).mean < 0.1
        assert many.expected("a", "web", at(0)).mean > 0.8

    def test_each_outcome_counts_at_one_level_only(self) -> None:
        book = kept(("a", "web", True))
        assert book.expected("a", "web", at(0)).mean == pytest.approx(2 / 3)
        assert book.expected("a", None, at(0)).mean == pytest.approx(2 / 3)

    def test_who_is_little_known_is_hoped_more_of(self) -> None:
        little, well = Expected(), Expected(successes=40, failures=40)
        assert little.mean == well.mean
        assert little.hoped > well.hoped > well.mean

    @given(st.floats(0, 1), st.floats(0, 1e6), st.floats(0, 1e6))
    def test_it_is_always_a_probability(self, prior: float, successes: float, failures: float) -> None:
        expected = Expected(prior, successes, failures)
        assert 0 <= expected.mean <= 1
        assert expected.mean <= expected.hoped <= 1

    def test_work_with_two_skills_counts_for_both_and_once_for_the_agent(self) -> None:
        book = SuccessBook(DAY_S)
        book.count(["a", "b"], None, at(0), success=True)
        assert [book.expected(skill, None, at(0)).successes for skill in ("a", "b", "c")] == [1, 1, 0]
        assert book.all.successes == 1


class TestFading:
    def test_an_outcome_loses_half_of_its_weight_in_a_half_life(self) -> None:
        book = kept(*[("a", None, True)] * 4)
        assert book.expected("a", None, at(DAY_S)).successes == pytest.approx(2)
        assert book.expected("a", None, at(2 * DAY_S)).successes == pytest.approx(1)

    def test_what_an_agent_has_become_weighs_more_than_what_it_was(self) -> None:
        book = kept(*[("a", None, True)] * 10)
        for _ in range(5):
            book.count(["a"], None, at(4 * DAY_S), success=False)
        assert book.expected("a", None, at(4 * DAY_S)).mean < 0.3

    def test_a_moment_before_the_last_outcome_is_the_last_outcome(self) -> None:
        book = SuccessBook(DAY_S)
        book.count(["a"], None, at(100), success=True)
        assert book.expected("a", None, at(0)) == book.expected("a", None, at(100))

    @given(st.lists(st.tuples(st.floats(0, 1e6), st.booleans()), max_size=20))
    def test_counting_step_by_step_is_counting_each_for_itself(self, outcomes: list[tuple[float, bool]]) -> None:
        outcomes.sort()
        book = SuccessBook(DAY_S)
        for seconds, success in outcomes:
            book.count(["a"], None, at(seconds), success=success)
        end = max((seconds for seconds, _ in outcomes), default=0.0)
        weights = {won: sum(0.5 ** ((end - t) / DAY_S) for t, s in outcomes if s is won) for won in (True, False)}
        expected = book.expected("a", None, at(end))
        assert expected.successes == pytest.approx(weights[True], abs=1e-6)
        assert expected.failures == pytest.approx(weights[False], abs=1e-6)


class TestBounds:
    def test_what_has_no_outcome_for_the_longest_time_is_forgotten(self) -> None:
        book = SuccessBook(DAY_S)
        for n in range(KEPT_MAX + 1):
            book.count(["a"], f"d{n}", at(n), success=True)
            book.count(["a"], "d0", at(n), success=True)
        assert len(book.domains) == KEPT_MAX
        assert ("a", "d0") in book.domains
        assert ("a", "d1") not in book.domains
