"""Rankings, and how firm they are."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agents.skills.priority_setting import Criterion, Item, Priorities, priorities
from agents.skills.skill import SkillError

CRITERIA = [Criterion(name="value", weight=3), Criterion(name="cost", weight=1, maximise=False)]


def ranked(*rows: tuple[str, float, float], criteria: list[Criterion] = CRITERIA) -> Priorities:
    return priorities(criteria, [Item(id=i, scores={"value": v, "cost": c}) for i, v, c in rows])


class TestKnownRanking:
    """value 3 : cost 1; a (10, 8), b (6, 2), c (2, 5) → a 0.75, b 0.375 + 0.25, c 0.125."""

    FOUND = ranked(("a", 10, 8), ("b", 6, 2), ("c", 2, 5))

    def test_scores_are_normalised_and_weighted(self) -> None:
        assert [(r.id, r.score, r.rank) for r in self.FOUND.ranking] == [("a", 0.75, 1), ("b", 0.625, 2), ("c", 0.125, 3)]

    def test_sensitivity_is_the_smallest_change_that_puts_another_first(self) -> None:
        # a − b = 3·0.5 − 1·1 = 0.5: the weight of value must fall by a third, or that of cost rise by a half.
        assert self.FOUND.sensitivity == {"value": pytest.approx(-1 / 3, abs=1e-8), "cost": pytest.approx(0.5)}

    def test_where_no_change_helps_it_is_null(self) -> None:
        assert ranked(("a", 10, 1), ("b", 6, 2)).sensitivity == {"value": None, "cost": None}

    def test_ties_share_their_rank_and_stand_by_name(self) -> None:
        found = ranked(("b", 5, 5), ("a", 5, 5))
        assert [(r.id, r.rank) for r in found.ranking] == [("a", 1), ("b", 1)]

    def test_nothing_to_rank_is_no_error(self) -> None:
        assert ranked().ranking == []


class TestRefusals:
    def test_a_missing_score_is_named_with_its_path(self) -> None:
        with pytest.raises(SkillError, match=r"a has no score for cost - at `\$\.items\[0\]\.scores`"):
            priorities(CRITERIA, [Item(id="a", scores={"value": 1})])

    def test_weights_must_not_all_be_zero(self) -> None:
        with pytest.raises(SkillError, match="no criterion has a weight"):
            priorities([Criterion(name="value", weight=0)], [])

    def test_names_stand_once(self) -> None:
        with pytest.raises(SkillError, match="two items have the same id"):
            ranked(("a", 1, 1), ("a", 2, 2))
        with pytest.raises(SkillError, match="two criteria have the same name"):
            priorities([CRITERIA[0], CRITERIA[0]], [])


NUMBERS = st.integers(-20, 20)


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[Criterion], list[Item]]:
    names = [f"c{n}" for n in range(draw(st.integers(1, 4)))]
    criteria = [Criterion(name=n, weight=draw(st.integers(1, 9)), maximise=draw(st.booleans())) for n in names]
    count = draw(st.integers(1, 6))
    return criteria, [Item(id=f"i{n}", scores={name: draw(NUMBERS) for name in names}) for n in range(count)]


class TestAnyRanking:
    @given(problems())
    def test_every_item_stands_in_it_once_best_first(self, problem: tuple[list[Criterion], list[Item]]) -> None:
        criteria, items = problem
        rows = priorities(criteria, items).ranking
        assert sorted(r.id for r in rows) == sorted(i.id for i in items)
        assert [r.score for r in rows] == sorted((r.score for r in rows), reverse=True)
        assert all(0 <= r.score <= 1 for r in rows)

    @given(problems(), st.integers(2, 50))
    def test_only_the_shares_of_the_weights_count(self, problem: tuple[list[Criterion], list[Item]], factor: int) -> None:
        criteria, items = problem
        heavier = [Criterion(name=c.name, weight=c.weight * factor, maximise=c.maximise) for c in criteria]
        before, after = priorities(criteria, items), priorities(heavier, items)
        assert [r.id for r in after.ranking] == [r.id for r in before.ranking]

    @given(problems())
    def test_who_is_better_in_everything_comes_first(self, problem: tuple[list[Criterion], list[Item]]) -> None:
        criteria, items = problem
        best = Item(id="best", scores={c.name: 100.0 if c.maximise else -100.0 for c in criteria})
        found = priorities(criteria, [*items, best])
        assert found.ranking[0].id == "best"
        assert set(found.sensitivity.values()) == {None}

    @given(problems(), st.data())
    def test_a_little_more_than_the_sensitivity_puts_another_first(
        self, problem: tuple[list[Criterion], list[Item]], data: st.DataObject
    ) -> None:
        criteria, items = problem
        found = priorities(criteria, items)
        name = data.draw(st.sampled_from(sorted(found.sensitivity)))
        change = found.sensitivity[name]
        assume(change is not None and change not in {0.0, -1.0})
        assert change is not None
        first = found.ranking[0].id

        def winner(factor: float) -> str:
            weights = [Criterion(name=c.name, weight=c.weight * (factor if c.name == name else 1), maximise=c.maximise) for c in criteria]
            assume(any(c.weight for c in weights))
            return priorities(weights, items).ranking[0].id

        assert winner(1 + change * 0.999) == first
        assert winner(max(0.0, 1 + change * 1.001)) != first
