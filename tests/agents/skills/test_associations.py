"""Associations: what was made to go together is found, what does so by chance is not."""

import random

import pytest

from agents.skills.associations import Association, Case, associations, episode_cases, sitting_cases
from agents.skills.happenings import Happening
from agents.skills.significance import SIGNIFICANCE
from tests.agents.skills.happened import happened


def found(cases: list[Case], *, support_min: int = 3, one_action: bool = False) -> list[Association]:
    return associations(cases, support_min, SIGNIFICANCE, 4, one_action=one_action)


def case(n: int, *items: str) -> Case:
    return Case(frozenset(items), (f"e{n}",))


def rules(told: list[Association]) -> list[str]:
    return [f"{' & '.join(a.premises)} -> {a.conclusion}" for a in told]


class TestPairs:
    def test_the_figures_by_hand(self) -> None:
        """Ten of twenty have A, eight of these and no other have B: expected 4, lift 2, Fisher C(10,8)/C(20,8) = 45/125970."""
        cases = [case(n, "tag a", "outcome b") for n in range(8)] + [case(n, "tag a") for n in (8, 9)] + [case(n) for n in range(10, 20)]
        [rule] = found(cases)
        assert rules([rule]) == ["tag a -> outcome b"]
        assert (rule.support, rule.share, rule.confidence, rule.lift, rule.expected) == (8, 0.4, 0.8, 2.0, 4.0)
        assert rule.p == pytest.approx(45 / 125_970)
        assert rule.q == pytest.approx(2 * 45 / 125_970)  # one pair was tested, and pairs have half of the rate
        assert rule.episodes == ["e0", "e1", "e2", "e3"]

    def test_from_the_rarer_to_the_commoner(self) -> None:
        cases = (
            [case(n, "tag rare", "tag common") for n in range(8)] + [case(n, "tag common") for n in (8, 9)] + [case(n) for n in range(10)]
        )
        assert rules(found(cases)) == ["tag rare -> tag common"]

    def test_what_is_everywhere_goes_with_nothing(self) -> None:
        assert found([case(n, "tag everywhere", f"tag {n % 2}") for n in range(40)]) == []


class TestSets:
    def deploys(self) -> list[Happening]:
        """Deploys fail on Fridays, and neither other deploys nor other Friday work does."""
        rnd = random.Random(3)
        made = []
        for n in range(400):
            friday, kind = rnd.random() < 0.3, "deploy" if rnd.random() < 0.4 else "review"
            fails = rnd.random() < (0.9 if friday and kind == "deploy" else 0.1)
            tags = ("friday",) if friday else ()
            made.append(happened(n, kind, tags=tags, outcome="failure" if fails else "success"))
        return made

    def test_two_premises_that_only_together_lead_to_it(self) -> None:
        told = found(episode_cases(self.deploys()), one_action=True)
        [both] = [a for a in told if set(a.premises) == {"action deploy", "tag friday"}]
        assert (both.conclusion, both.confidence > 0.85, both.lift > 3) == ("outcome failure", True, True)

    def test_a_premise_that_adds_nothing_is_left_out(self) -> None:
        rnd = random.Random(1)
        cases = []
        for n in range(300):
            a = rnd.random() < 0.3
            b = a if rnd.random() < 0.9 else not a
            cases.append(case(n, *(["tag a"] if a else []), *(["tag b"] if b else []), *(["tag idle"] if rnd.random() < 0.5 else [])))
        assert all("tag idle" not in rule for rule in rules(found(cases)))


class TestChance:
    def test_random_tags_go_with_nothing(self) -> None:
        worlds = []
        for seed in range(40):
            rnd = random.Random(seed)
            tags = [tuple(f"t{k}" for k in range(8) if rnd.random() < 0.25) for _ in range(150)]
            worlds.append(found(episode_cases([happened(n, f"k{rnd.randrange(4)}", tags=t) for n, t in enumerate(tags)]), one_action=True))
        assert sum(bool(world) for world in worlds) <= 5


class TestCases:
    def test_a_sitting_has_what_any_of_its_episodes_has(self) -> None:
        [found_case] = sitting_cases([[happened(1, "a", tags=("x",)), happened(2, "b", outcome="failure")]])
        assert found_case == Case(frozenset({"action a", "action b", "tag x", "outcome failure"}), ("e1", "e2"))

    def test_no_rule_joins_two_action_types_of_one_episode(self) -> None:
        cases = [case(n, "action a", "action b") for n in range(10)] + [case(n) for n in range(10)]
        assert found(cases, one_action=True) == []
        assert len(found(cases)) == 1


class TestBounds:
    def test_nothing_and_one(self) -> None:
        assert found([]) == found([case(1, "tag a", "tag b")]) == []

    def test_ten_thousand_episodes_with_hundreds_of_tags_have_an_end(self) -> None:
        rnd = random.Random(2)
        tags = [f"t{k}" for k in range(300)]
        cases = episode_cases([happened(n, f"k{n % 20}", tags=tuple(rnd.sample(tags, 8))) for n in range(10_000)])
        assert len(found(cases, one_action=True)) <= 1
