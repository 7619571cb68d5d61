"""Items and objectives: declared contributions by hand, estimates by what they name."""

from typing import Any

import pytest

from agents.skills.business_alignment import Alignment, Objective, WorkItem, align
from agents.skills.skill import SkillError


def objective(ident: str, text: str = "", **fields: Any) -> Objective:
    return Objective(id=ident, text=text, **fields)


def item(ident: str, text: str = "", **fields: Any) -> WorkItem:
    return WorkItem(id=ident, text=text, **fields)


class TestDeclared:
    def found(self) -> Alignment:
        objectives = [objective("growth", weight=3), objective("trust", weight=1), objective("cost", weight=0)]
        items = [
            item("ads", contributions={"growth": 0.8, "trust": -0.4, "cost": -1.0}),
            item("audit", contributions={"growth": 0.0, "trust": 1.0, "cost": 0.0}),
        ]
        return align(objectives, items)

    def test_the_weighted_mean_by_hand(self) -> None:
        """ads: 0.8·3/4 − 0.4·1/4 = 0.5; audit: 1/4."""
        assert [(i.id, i.alignment, i.rank) for i in self.found().items] == [("ads", 0.5, 1), ("audit", 0.25, 2)]

    def test_each_contribution_says_its_points(self) -> None:
        assert [(c.objective, c.contribution, c.points, c.basis) for c in self.found().items[0].contributions] == [
            ("growth", 0.8, 0.6, "declared"), ("trust", -0.4, -0.1, "declared"), ("cost", -1.0, 0.0, "declared"),
        ]  # fmt: skip

    def test_who_serves_and_who_works_against(self) -> None:
        growth, trust, cost = self.found().objectives
        assert (growth.served_by, growth.opposed_by, growth.best, growth.weight_share) == (["ads"], [], 0.8, 0.75)
        assert (trust.served_by, trust.opposed_by) == (["audit"], ["ads"])
        assert (cost.served_by, cost.best) == ([], 0.0)
        assert (self.found().uncovered, self.found().covered_share) == (["cost"], 1.0)


class TestEstimated:
    def test_shared_words_are_named(self) -> None:
        found = align(
            [objective("latency", "Answer search queries faster"), objective("hiring", "Hire two engineers")],
            [item("cache", "A cache for search queries"), item("party", "Summer party")],
        )
        assert [i.id for i in found.items] == ["cache", "party"]
        [reason] = found.items[0].contributions
        assert (reason.objective, reason.basis, reason.why) == ("latency", "estimated", "shared words: queri, search")
        assert (found.uncovered, found.unaligned, found.covered_share) == (["hiring"], ["party"], 0.5)

    def test_tags_count_by_their_share(self) -> None:
        found = align([objective("o", tags=["a", "b"])], [item("x", tags=["a", "c"]), item("y", tags=["a", "b"])])
        assert [(i.id, i.alignment) for i in found.items] == [("y", 1.0), ("x", 0.5)]
        assert found.items[1].contributions[0].why == "shared tags: a"

    def test_text_and_tags_are_two_signs(self) -> None:
        text = align([objective("o", "faster search")], [item("x", "search")]).items[0].alignment
        both = align([objective("o", "faster search", tags=["a", "b"])], [item("x", "search", tags=["a"])]).items[0].alignment
        assert both == pytest.approx(1 - (1 - text) * 0.5)

    def test_what_is_declared_goes_before_what_words_say(self) -> None:
        found = align([objective("o", "faster search")], [item("x", "faster search", contributions={"o": -1.0})])
        assert (found.items[0].alignment, found.uncovered) == (-1.0, ["o"])


class TestBounds:
    def test_no_items_cover_nothing(self) -> None:
        assert align([objective("o")], []) == Alignment(
            items=[], objectives=align([objective("o")], []).objectives, uncovered=["o"], unaligned=[], covered_share=0.0
        )

    def test_tied_items_share_their_place(self) -> None:
        found = align([objective("o", tags=["a"])], [item("y", tags=["a"]), item("x", tags=["a"]), item("z")])
        assert [(i.id, i.rank) for i in found.items] == [("x", 1), ("y", 1), ("z", 3)]

    @pytest.mark.parametrize(
        ("objectives", "items", "path"),
        [
            ([objective("o"), objective("o")], [], "$.objectives"),
            ([objective("o", weight=0)], [], "$.objectives"),
            ([objective("o")], [item("x"), item("x")], "$.items"),
            ([objective("o")], [item("x"), item("y", contributions={"p": 1})], "$.items[1].contributions"),
        ],
    )
    def test_what_makes_no_sense_is_refused_with_its_path(self, objectives: list[Objective], items: list[WorkItem], path: str) -> None:
        with pytest.raises(SkillError) as e:
            align(objectives, items)
        assert (e.value.code, path in str(e.value)) == ("bad_input", True)
