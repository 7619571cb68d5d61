"""The law of one task, sentence by sentence."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.tasks import rules
from agents.tasks.rules import ATTEMPTS_MAX, HISTORY_LEN_MAX, LOST_MAX, Assign, Credit, Finish, TaskState
from bus import subjects
from schemas.tasks import Finished, Progress, Submission
from tests.agents.tasks.story import Story, at, everyone_lives, nobody_lives


def told(**fields: Any) -> Story:
    story = Story(**fields)
    story.submitted()
    return story


class TestSubmission:
    def test_the_first_one_on_an_id_is_the_task(self) -> None:
        s = told()
        state = s.tell(subjects.TASK_SUBMITTED, Submission(title="Something else"))
        assert state.task.title == "Fix the login"
        assert state.history[-1].ignored == "submitted already"

    def test_what_comes_before_it_changes_nothing(self) -> None:
        s = Story()
        assert rules.apply(None, s.entry(subjects.TASK_PROGRESS, Progress(fence=1), "nexus")) is None

    def test_it_waits_to_be_assigned_with_fence_one(self) -> None:
        assert rules.due(told().submitted(), at(1), everyone_lives) == Assign(1)

    def test_an_entry_that_is_read_twice_counts_once(self) -> None:
        s = told()
        s.assigned("nexus", 1)
        before = s.failure("nexus", 1)
        assert rules.apply(before, s.entries[-1]) is before


class TestLease:
    def test_an_assignment_holds_for_its_lease(self) -> None:
        s = told()
        state = s.assigned("nexus", 1, lease_s=10)
        assert rules.due(state, at(10.9), everyone_lives) is None
        assert rules.due(state, at(11), everyone_lives) == Assign(2)

    def test_progress_extends_it(self) -> None:
        s = told()
        s.assigned("nexus", 1, lease_s=10)
        state = s.progress("nexus", 1, fraction=0.5)
        assert (state.status, state.fraction) == ("running", 0.5)
        assert rules.due(state, at(11.9), everyone_lives) is None

    def test_it_is_over_at_once_when_the_agent_is_gone(self) -> None:
        s = told()
        state = s.assigned("nexus", 1)
        assert rules.due(state, at(2), nobody_lives) == Assign(2)

    def test_progress_under_an_old_fence_does_not_extend_it(self) -> None:
        s = told()
        s.assigned("nexus", 1)
        held = s.assigned("aria", 2)
        state = s.progress("nexus", 1)
        assert state.lease_until == held.lease_until
        assert state.history[-1].ignored == "old fence 1, current is 2"

    def test_whoever_lost_it_has_tried_it(self) -> None:
        s = told()
        s.assigned("nexus", 1)
        state = s.assigned("aria", 2)
        assert (state.losses, state.tried) == (1, frozenset({"nexus"}))

    def test_whoever_is_losing_it_comes_last_for_the_next(self) -> None:
        s = told()
        assert s.assigned("nexus", 1).avoided == frozenset({"nexus"})

    def test_leases_lost_again_and_again_end_it(self) -> None:
        s = told(timeout_s=10_000)
        state = s.assigned("nexus", 1)
        for fence in range(2, LOST_MAX + 1):
            state = s.assigned("nexus", fence)
        verdict = rules.due(state, at(9_000), everyone_lives)
        assert isinstance(verdict, Finish)
        assert verdict.end.error is not None
        assert (verdict.end.status, verdict.end.error.code) == ("failed", "lease_lost")

    def test_an_assignment_that_skips_a_fence_is_ignored(self) -> None:
        s = told()
        state = s.assigned("nexus", 3)
        assert (state.status, state.fence) == ("submitted", 0)

    def test_it_is_over_at_once_when_the_instance_that_works_on_it_is_gone(self) -> None:
        s = told()
        s.assigned("nexus", 1)
        state = s.progress("nexus", 1, instance="i1")
        assert rules.due(state, at(3), lambda _, instance: instance == "i1") is None
        assert rules.due(state, at(3), lambda _, instance: instance == "i2") == Assign(2)

    def test_a_further_one_says_why(self) -> None:
        s = told()
        assert rules.reason(s.submitted(), at(0)) is None
        held = s.assigned("nexus", 1, lease_s=5)
        assert rules.reason(held, at(3)) == "nexus is gone"
        assert rules.reason(held, at(9)) == "the lease of nexus ran out"
        assert rules.reason(s.failure("nexus", 1), at(9)) == "try 2 of 3, after skill_error"


class TestTheft:
    def test_what_was_not_begun_in_time_may_be_taken(self) -> None:
        s = told()
        state = s.assigned("nexus", 1)
        assert not rules.unbegun(state, at(2.9), 2.0)
        assert rules.unbegun(state, at(3), 2.0)

    def test_what_was_begun_may_not(self) -> None:
        s = told()
        s.assigned("nexus", 1)
        state = s.progress("nexus", 1)
        assert not rules.unbegun(state, at(60), 2.0)
        assert s.assigned("aria", 2, stolen_from="nexus").agent == "nexus"
        assert s.state is not None
        assert s.state.history[-1].ignored == "nexus has begun it, or has not got it"

    def test_it_comes_with_the_next_fence_and_is_no_loss(self) -> None:
        s = told()
        s.assigned("nexus", 1)
        state = s.assigned("aria", 2, stolen_from="nexus")
        assert (state.agent, state.fence, state.losses, state.tried, state.stolen) == ("aria", 2, 0, frozenset(), frozenset({"nexus"}))
        assert s.result("nexus", 1).outcome is None

    def test_it_cannot_be_taken_from_who_has_not_got_it(self) -> None:
        s = told()
        s.assigned("nexus", 1)
        assert s.assigned("ricardo", 2, stolen_from="aria").agent == "nexus"


class TestSplit:
    def test_from_then_on_it_is_composite_and_is_not_assigned(self) -> None:
        s = told(required_skills=["a", "b"])
        state = s.split("a", "b")
        assert [part.id for part in state.task.subtasks] == ["a", "b"]
        assert rules.due(state, at(3), everyone_lives) is None
        assert s.assigned("nexus", 1).fence == 0

    def test_it_happens_once(self) -> None:
        s = told(required_skills=["a", "b"])
        s.split("a", "b")
        state = s.split("b", "a")
        assert [part.id for part in state.task.subtasks] == ["a", "b"]
        assert state.history[-1].ignored == "it has parts already"

    def test_who_had_it_whole_has_it_no_longer(self) -> None:
        s = told(required_skills=["a", "b"])
        s.assigned("nexus", 1)
        assert not s.split("a", "b").held
        assert s.result("nexus", 1).outcome is None


class TestOutcome:
    def test_a_result_under_the_current_fence_is_the_outcome(self) -> None:
        s = told()
        s.assigned("nexus", 1)
        state = s.result("nexus", 1, {"answer": 42})
        assert rules.due(state, at(3), everyone_lives) == Finish(Finished(status="succeeded", agent="nexus", output={"answer": 42}))

    def test_a_result_under_an_old_fence_is_not(self) -> None:
        s = told()
        s.assigned("nexus", 1)
        s.assigned("aria", 2)
        state = s.result("nexus", 1)
        assert state.outcome is None
        assert state.history[-1].ignored == "old fence 1, current is 2"

    def test_a_result_of_somebody_else_is_not(self) -> None:
        s = told()
        s.assigned("nexus", 1)
        assert s.result("aria", 1).outcome is None

    def test_a_result_after_the_lease_counts_while_nobody_else_has_it(self) -> None:
        s = told()
        s.assigned("nexus", 1, lease_s=0.1)
        assert s.result("nexus", 1).outcome is not None

    def test_only_the_first_of_two_results_counts(self) -> None:
        s = told()
        s.assigned("nexus", 1)
        s.result("nexus", 1, "first")
        state = s.result("nexus", 1, "second")
        assert state.outcome is not None
        assert state.outcome.output == "first"

    def test_a_failure_that_may_be_retried_is_given_to_another_agent(self) -> None:
        s = told()
        s.assigned("nexus", 1)
        state = s.failure("nexus", 1)
        assert rules.due(state, at(3), everyone_lives) == Assign(2)
        assert (state.tried, state.agent) == (frozenset({"nexus"}), None)

    def test_it_is_not_tried_again_before_its_pause_is_over(self) -> None:
        s = told()
        s.assigned("nexus", 1, backoff_s=4.0)
        state = s.failure("nexus", 1)
        assert rules.due(state, at(5.9), everyone_lives) is None
        assert rules.due(state, at(6), everyone_lives) == Assign(2)

    def test_its_time_to_live_ends_it_during_the_pause(self) -> None:
        s = told(timeout_s=5)
        s.assigned("nexus", 1, backoff_s=60.0)
        assert isinstance(rules.due(s.failure("nexus", 1), at(5), everyone_lives), Finish)

    def test_the_pause_doubles_up_to_a_limit(self) -> None:
        assert [rules.backoff_s(n, 0.5, 3.0) for n in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]

    def test_a_failure_for_good_ends_it(self) -> None:
        s = told()
        s.assigned("nexus", 1)
        state = s.failure("nexus", 1, retryable=False, code="bad_input")
        assert state.outcome is not None
        assert (state.outcome.status, state.outcome.agent) == ("failed", "nexus")

    def test_failures_that_may_be_retried_end_it_in_the_end(self) -> None:
        s = told()
        for fence in range(1, ATTEMPTS_MAX + 1):
            s.assigned("nexus", fence)
            s.failure("nexus", fence)
        state = s.state
        assert state is not None
        assert state.outcome is not None
        assert state.outcome.status == "failed"

    def test_a_cancel_ends_it_unless_an_outcome_stands(self) -> None:
        s = told()
        s.assigned("nexus", 1)
        state = s.cancel(reason="changed my mind")
        assert state.outcome is not None
        assert state.outcome.status == "cancelled"
        late = s.result("nexus", 1)
        assert late.outcome == state.outcome
        assert late.history[-1].ignored == "the outcome stands already: cancelled"

    def test_its_time_to_live_ends_it(self) -> None:
        state = told(timeout_s=5).submitted()
        verdict = rules.due(state, at(5), everyone_lives)
        assert isinstance(verdict, Finish)
        assert verdict.end.status == "expired"

    def test_an_outcome_in_the_log_is_kept_when_its_time_is_over(self) -> None:
        s = told(timeout_s=5)
        s.assigned("nexus", 1)
        verdict = rules.due(s.result("nexus", 1), at(60), everyone_lives)
        assert isinstance(verdict, Finish)
        assert verdict.end.status == "succeeded"

    def test_finished_is_the_end(self) -> None:
        s = told()
        s.assigned("nexus", 1)
        s.result("nexus", 1)
        s.finished(Finished(status="succeeded", agent="nexus", output="done"))
        state = s.finished(Finished(status="cancelled"))
        assert state.status == "succeeded"
        assert state.history[-1].ignored == "after the end: succeeded"
        assert rules.due(state, at(1_000), nobody_lives) is None


class TestHistory:
    def test_it_names_every_entry(self) -> None:
        s = told()
        s.assigned("nexus", 1)
        s.progress("nexus", 1)
        state = s.result("nexus", 1)
        assert [(h.seq, h.entry, h.agent) for h in state.history] == [
            (1, "submitted", None),
            (2, "assigned", "nexus"),
            (3, "progress", "nexus"),
            (4, "result", "nexus"),
        ]

    def test_it_is_bounded_and_keeps_the_first_and_the_newest(self) -> None:
        s = told(timeout_s=10_000)
        state = s.assigned("nexus", 1)
        for _ in range(2 * HISTORY_LEN_MAX):
            state = s.progress("nexus", 1)
        assert len(state.history) == HISTORY_LEN_MAX
        assert (state.history[0].entry, state.history[-1].seq) == ("submitted", len(s.entries))


class TestCredit:
    def test_a_result_speaks_for_the_agent(self) -> None:
        s = told()
        before = s.assigned("nexus", 1)
        assert rules.credit(before, s.result("nexus", 1)) == Credit("nexus", ("debugging",), None, success=True)

    def test_a_failure_speaks_against_it(self) -> None:
        s = told()
        before = s.assigned("nexus", 1)
        assert rules.credit(before, s.failure("nexus", 1)) == Credit("nexus", ("debugging",), None, success=False)

    def test_bad_input_does_not(self) -> None:
        s = told()
        before = s.assigned("nexus", 1)
        assert rules.credit(before, s.failure("nexus", 1, code="bad_input", retryable=False)) is None

    def test_nothing_ignored_does(self) -> None:
        s = told()
        s.assigned("nexus", 1)
        before = s.assigned("aria", 2)
        assert rules.credit(before, s.result("nexus", 1)) is None

    def test_a_cancel_does_not(self) -> None:
        s = told()
        before = s.assigned("nexus", 1)
        assert rules.credit(before, s.cancel()) is None

    def test_all_skills_that_were_required_share_it_in_the_domain_of_the_task(self) -> None:
        s = told(required_skills=["a", "b", "a"], domain="web")
        before = s.assigned("nexus", 1, skill="a")
        assert rules.credit(before, s.result("nexus", 1)) == Credit("nexus", ("a", "b"), "web", success=True)


AGENTS = st.sampled_from(["nexus", "aria", "ricardo"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("assigned"), AGENTS, st.integers(1, 8)),
        st.tuples(st.just("progress"), AGENTS, st.integers(1, 8)),
        st.tuples(st.just("stolen"), AGENTS, st.integers(1, 8)),
        st.tuples(st.just("split"), AGENTS, st.just(0)),
        st.tuples(st.just("result"), AGENTS, st.integers(1, 8)),
        st.tuples(st.just("failure"), AGENTS, st.integers(1, 8)),
        st.tuples(st.just("cancel"), AGENTS, st.just(0)),
        st.tuples(st.just("look"), AGENTS, st.just(0)),
    ),
    max_size=40,
)


def tell(s: Story, verb: str, agent: str, fence: int) -> TaskState:
    match verb:
        case "cancel":
            return s.cancel(agent)
        case "split":
            return s.split("a", "b")
        case "stolen":
            return s.assigned(agent, fence, stolen_from="nexus")
    state: TaskState = getattr(s, verb)(agent, fence)
    return state


class TestAnyInterleaving:
    @given(STEPS)
    def test_ends_once_and_as_the_first_word_under_the_current_fence_says(self, steps: list[tuple[str, str, int]]) -> None:
        s = told(timeout_s=10_000)
        words: list[tuple[str, str]] = []
        for verb, agent, fence in steps:
            before = s.state
            assert before is not None
            if verb == "look":
                verdict = rules.due(before, at(len(s.entries)), everyone_lives)
                if isinstance(verdict, Finish):
                    s.finished(verdict.end)
                continue
            state = tell(s, verb, agent, fence)
            if verb == "result" and before.held and (agent, fence) == (before.agent, before.fence):
                words.append(("succeeded", agent))
            elif verb == "cancel" and before.outcome is None and before.finished is None:
                words.append(("cancelled", agent))
            assert state.fence >= before.fence
            assert before.status != "running" or verb != "stolen" or state.agent == before.agent
            assert not before.composite or not state.held
            assert before.outcome is None or state.outcome == before.outcome
            assert before.finished is None or state.finished == before.finished
        state = s.state
        assert state is not None
        if state.outcome is not None and state.outcome.status != "failed":
            assert state.outcome.status == words[0][0]

    @given(STEPS)
    def test_every_replica_folds_the_same_however_it_reads(self, steps: list[tuple[str, str, int]]) -> None:
        s = told()
        for verb, agent, fence in steps:
            if verb != "look":
                tell(s, verb, agent, fence)
        again = None
        for entry in [e for e in s.entries for _ in range(2)]:
            again = rules.apply(again, entry)
        assert again == s.state
