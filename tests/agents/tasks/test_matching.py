"""Who gets a task, and why."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.relevance import similarity
from agents.tasks import matching
from agents.tasks.matching import Candidate, Success, Weights
from agents.tasks.success import Expected
from schemas.emotion import Affect
from schemas.members import Profile, Skill
from schemas.tasks import Submission, SuccessRecord

WEIGHTS = Weights(skill=0.35, similarity=0.2, success=0.2, load=0.15, affect=0.1)
NOBODY: frozenset[str] = frozenset()


def candidate(agent: str, *skills: str | Skill, load: float = 0.0, **fields: object) -> Candidate:
    return Candidate(agent=agent, profile=Profile(skills=list(skills), load=load), capacity=4, **fields)  # type: ignore[arg-type]


def after(successes: int, failures: int) -> Success:
    return lambda _skill, _domain: Expected(successes=successes, failures=failures)


def task(*required: str, title: str = "Find the bug") -> Submission:
    return Submission(title=title, required_skills=list(required))


def chosen(t: Submission, *candidates: Candidate, tried: frozenset[str] = NOBODY) -> str | None:
    choice = matching.choose(t, candidates, tried, WEIGHTS, similarity)
    return choice.agent if choice else None


class TestEligibility:
    def test_all_required_skills_are_needed(self) -> None:
        assert chosen(task("a", "b"), candidate("half", "a"), candidate("whole", "a", "b")) == "whole"
        assert chosen(task("a", "b"), candidate("half", "a")) is None

    def test_who_is_full_is_passed_over(self) -> None:
        assert chosen(task("a"), candidate("full", "a", open_tasks=4), candidate("free", "a", load=1.0)) == "free"

    def test_who_has_tried_it_comes_last(self) -> None:
        both = candidate("best", "a"), candidate("other", "a", load=0.9)
        assert chosen(task("a"), *both) == "best"
        assert chosen(task("a"), *both, tried=frozenset({"best"})) == "other"
        assert chosen(task("a"), *both, tried=frozenset({"best", "other"})) == "best"

    def test_ties_go_by_name(self) -> None:
        assert chosen(task("a"), candidate("zoe", "a"), candidate("abe", "a")) == "abe"

    def test_a_task_for_one_agent_is_for_no_other(self) -> None:
        directed = Submission(title="Find the bug", required_skills=["a"], agent="zoe")
        assert chosen(directed, candidate("abe", "a"), candidate("zoe", "a", load=0.9)) == "zoe"
        assert chosen(directed, candidate("abe", "a")) is None


class TestScore:
    def test_free_capacity_counts(self) -> None:
        assert chosen(task("a"), candidate("abe", "a", load=0.8), candidate("zoe", "a", load=0.1)) == "zoe"

    def test_what_it_holds_counts_before_it_says_so(self) -> None:
        assert chosen(task("a"), candidate("abe", "a", open_tasks=2), candidate("zoe", "a")) == "zoe"

    def test_success_on_such_tasks_counts(self) -> None:
        assert chosen(task("a"), candidate("abe", "a", success=after(0, 8)), candidate("zoe", "a", success=after(8, 0))) == "zoe"

    def test_of_several_skills_the_one_counts_of_which_the_least_is_expected(self) -> None:
        def good_at_a(skill: str, _: str | None) -> Expected:
            return Expected(successes=9) if skill == "a" else Expected(failures=9)

        assert chosen(task("a", "b"), candidate("abe", "a", "b", success=good_at_a), candidate("zoe", "a", "b")) == "zoe"

    def test_affect_counts(self) -> None:
        low = Affect(valence=-0.8, arousal=0.7, dominance=-0.5)
        assert chosen(task("a"), candidate("abe", "a", affect=low), candidate("zoe", "a")) == "zoe"

    def test_it_says_why_in_numbers(self) -> None:
        choice = matching.choose(task("a"), [candidate("abe", "a", load=0.25, success=after(2, 0))], NOBODY, WEIGHTS, similarity)
        assert choice is not None
        why, record = choice.scores[0].why, choice.scores[0].record
        assert record == SuccessRecord(mean=0.75, deviation=0.1936, successes=2, failures=0, prior=0.5)
        assert (why.skill, why.success, why.load, why.affect) == (1.0, 0.8468, 0.75, 0.5)
        parts = 0.35 * 1 + 0.2 * why.similarity + 0.2 * 0.8468 + 0.15 * 0.75 + 0.1 * 0.5
        assert choice.scores[0].score == pytest.approx(parts, abs=1e-4)


NAMES = st.sampled_from("abcdef")
DRAWN = st.fixed_dictionaries(
    {"load": st.floats(0, 1), "open_tasks": st.integers(0, 4), "counts": st.tuples(st.integers(0, 20), st.integers(0, 20))}
)


def drawn(name: str, given: dict[str, Any], skills: list[str]) -> Candidate:
    success = after(*given["counts"])
    return candidate(name, *skills, load=given["load"], open_tasks=given["open_tasks"], success=success)


class TestTheSameStateGivesTheSameAssignment:
    @given(st.dictionaries(NAMES, DRAWN, min_size=1), st.permutations("xyz"), st.permutations("xyz"), st.randoms(use_true_random=False))
    def test_however_it_is_ordered(self, agents: dict[str, Any], one: list[str], other: list[str], chance: random.Random) -> None:
        """On another replica agents, skills and sets may be held in another order."""
        names = list(agents)
        shuffled = chance.sample(names, len(names))
        tried, again = frozenset(names[:2]), frozenset(reversed(names[:2]))
        first = matching.choose(task("x"), [drawn(n, agents[n], one) for n in names], tried, WEIGHTS, similarity)
        second = matching.choose(task("x"), [drawn(n, agents[n], other) for n in shuffled], again, WEIGHTS, similarity)
        assert first == second

    @given(st.permutations("xyz"), st.permutations("xyz"))
    def test_also_which_skill_it_is_when_none_is_required(self, one: list[str], other: list[str]) -> None:
        found = [matching.choose(task(title="x y z"), [candidate("abe", *skills)], NOBODY, WEIGHTS, similarity) for skills in (one, other)]
        assert found[0] is not None
        assert found[1] is not None
        assert found[0].skill == found[1].skill


class TestWithoutRequiredSkills:
    def test_the_most_similar_skill_decides(self) -> None:
        nexus = candidate("nexus", Skill(name="debugging", description="Find the cause of an error"))
        ricardo = candidate("ricardo", Skill(name="strategic_planning", description="Plan tasks with estimates"))
        choice = matching.choose(task(title="Plan the tasks of the release"), [nexus, ricardo], NOBODY, WEIGHTS, similarity)
        assert choice is not None
        assert (choice.agent, choice.skill) == ("ricardo", "strategic_planning")

    def test_where_none_fits_there_is_no_skill(self) -> None:
        choice = matching.choose(task(title="Sing"), [candidate("nexus", "debugging")], NOBODY, WEIGHTS, similarity)
        assert choice is not None
        assert (choice.agent, choice.skill) == ("nexus", None)


class TestImpossible:
    LISTED = {"nexus": Profile(skills=["debugging", "x"]), "aria": Profile(skills=["synthesis"])}

    def test_a_skill_nobody_has_is_named(self) -> None:
        error = matching.impossible(task("debugging", "juggling", "singing"), self.LISTED)
        assert error is not None
        assert (error.code, error.message) == ("no_such_skill", "no agent has juggling, singing")

    def test_skills_that_no_one_agent_has_are_not(self) -> None:
        assert matching.impossible(task("debugging", "synthesis"), self.LISTED) is None

    def test_what_a_listed_agent_can_do_is_possible(self) -> None:
        assert matching.impossible(task("debugging", "x"), self.LISTED) is None

    def test_without_required_skills_nothing_is_impossible(self) -> None:
        assert matching.impossible(task(), self.LISTED) is None

    def test_an_agent_that_is_not_there_is_named(self) -> None:
        error = matching.impossible(Submission(title="x", agent="zoe"), self.LISTED)
        assert error is not None
        assert (error.code, error.message) == ("no_such_agent", "there is no agent zoe that takes tasks")

    def test_a_skill_that_the_one_agent_has_not_is_named(self) -> None:
        error = matching.impossible(Submission(title="x", agent="aria", required_skills=["debugging"]), self.LISTED)
        assert error is not None
        assert (error.code, error.message) == ("no_such_skill", "agent aria has not debugging")
        assert matching.impossible(Submission(title="x", agent="nexus", required_skills=["debugging"]), self.LISTED) is None
