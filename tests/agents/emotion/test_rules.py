from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.emotion import rules
from schemas.consensus import CountedVote, Decision, Verdict
from schemas.emotion import Affect, Collective, Stimulus
from schemas.entry import Entry
from schemas.tasks import Finished, TaskEnd

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
CALM = Affect(valence=0.0, arousal=0.0, dominance=0.0)

unit = st.floats(0, 1)
signed = st.floats(-1, 1)
points = st.tuples(signed, signed, signed)
affects = st.builds(Affect, valence=signed, arousal=signed, dominance=signed)
events = st.sampled_from(sorted(rules.DELTAS))
pulls = st.none() | signed
stimuli = st.builds(Stimulus, cause=st.just("x"), event=events, valence=pulls, arousal=pulls, dominance=pulls, intensity=unit)


def entry(body: object, *, seq: int = 7, name: str = "", **tokens: str) -> Entry:
    return Entry(seq=seq, time=NOON, event_id=f"e{seq}", subject="", name=name, tokens=tokens, body=body)


def collective(v: float, a: float, d: float = 0.0) -> Collective:
    return Collective(valence=v, arousal=a, dominance=d, label="")


class TestAppraisal:
    @pytest.mark.parametrize("event", ["task_succeeded", "proposal_accepted", "praise", "relief"])
    def test_what_is_desirable_pleases(self, event: str) -> None:
        assert rules.appraise(CALM, Stimulus(event=event, cause="x")).valence > 0

    @pytest.mark.parametrize("event", ["task_failed", "proposal_rejected", "error", "overload", "blame", "threat"])
    def test_what_is_undesirable_displeases_and_takes_control(self, event: str) -> None:
        felt = rules.appraise(CALM, Stimulus(event=event, cause="x"))
        assert felt.valence < 0
        assert felt.dominance < 0

    def test_threat_is_fear_and_relief_calms(self) -> None:
        assert rules.appraise(CALM, Stimulus(event="threat", cause="x", intensity=1)).label == "anxious"
        assert rules.appraise(CALM, Stimulus(event="relief", cause="x", intensity=1)).label == "relaxed"

    def test_every_event_of_the_schema_has_its_delta(self) -> None:
        from typing import get_args

        from schemas.emotion import StimulusEvent

        assert set(rules.DELTAS) == set(get_args(StimulusEvent))

    def test_intensity_scales_the_delta(self) -> None:
        felt = rules.appraise(CALM, Stimulus(event="threat", cause="x", intensity=0.5))
        assert rules.point(felt) == pytest.approx((-0.32, 0.30, -0.215))

    def test_a_pull_of_full_intensity_goes_all_the_way_and_leaves_the_other_coordinates(self) -> None:
        felt = rules.appraise(replace(CALM, dominance=0.4), Stimulus(valence=-0.8, arousal=0.7, cause="x", intensity=1))
        assert rules.point(felt) == (-0.8, 0.7, 0.4)

    def test_a_pull_of_half_intensity_goes_half_the_way(self) -> None:
        assert rules.appraise(replace(CALM, valence=0.5), Stimulus(valence=-0.5, cause="x", intensity=0.5)).valence == 0.0

    def test_the_cause_is_told(self) -> None:
        assert rules.appraise(CALM, Stimulus(event="praise", cause="well done")).cause == "well done"

    @given(affects, stimuli)
    def test_it_never_leaves_the_cube(self, state: Affect, stimulus: Stimulus) -> None:
        assert all(-1 <= x <= 1 for x in rules.point(rules.appraise(state, stimulus)))

    @given(affects, stimuli)
    def test_without_intensity_nothing_moves(self, state: Affect, stimulus: Stimulus) -> None:
        assert rules.point(rules.appraise(state, replace(stimulus, intensity=0.0))) == pytest.approx(rules.point(state), abs=1e-4)


class TestDecay:
    def test_half_of_the_way_is_done_after_one_half_life(self) -> None:
        valence_s, arousal_s, _ = rules.HALF_LIVES_S
        state = Affect(valence=-0.8, arousal=0.6, dominance=0.0)
        assert rules.decay(state, (0.2, 0.0, 0.0), valence_s).valence == pytest.approx(-0.3)
        assert rules.decay(state, (0.2, 0.0, 0.0), arousal_s).arousal == pytest.approx(0.3)

    @given(affects, points)
    def test_it_ends_at_the_temperament(self, state: Affect, home: rules.Point) -> None:
        assert rules.point(rules.decay(state, home, 1e6)) == pytest.approx(home, abs=1e-6)

    @given(affects, points, st.floats(0, 1e4), st.floats(0, 1e4))
    def test_two_decays_in_a_row_are_one(self, state: Affect, home: rules.Point, first_s: float, then_s: float) -> None:
        stepwise = rules.decay(rules.decay(state, home, first_s), home, then_s)
        assert rules.point(stepwise) == pytest.approx(rules.point(rules.decay(state, home, first_s + then_s)), abs=1e-9)

    @given(affects, points, st.floats(0, 1e4))
    def test_it_never_moves_away_from_the_temperament(self, state: Affect, home: rules.Point, elapsed_s: float) -> None:
        rest = Affect(valence=home[0], arousal=home[1], dominance=home[2])
        assert rules.distance(rules.decay(state, home, elapsed_s), rest) <= rules.distance(state, rest) + 1e-9

    def test_a_clock_that_runs_behind_changes_nothing(self) -> None:
        assert rules.decay(replace(CALM, valence=1.0), (0, 0, 0), -5.0).valence == 1.0


class TestDrift:
    felt = rules.Felt(Affect(valence=-0.8, arousal=0.8, dominance=-0.5), 3, NOON, "e3")

    def test_nothing_is_said_before_the_pause_is_over(self) -> None:
        assert not rules.drifted(self.felt, (1.0, -1.0, 1.0), NOON + timedelta(seconds=rules.DRIFT_PAUSE_S - 0.1))

    def test_a_noticeable_drift_is_said(self) -> None:
        assert rules.drifted(self.felt, (0.0, 0.0, 0.0), NOON + timedelta(seconds=60))

    def test_who_rests_says_nothing(self) -> None:
        assert not rules.drifted(self.felt, rules.point(self.felt.affect), NOON + timedelta(days=1))


class TestLabel:
    @pytest.mark.parametrize(
        ("point", "label"),
        [
            ((0.5, 0.5, 0.5), "exuberant"),
            ((0.5, 0.5, -0.5), "dependent"),
            ((0.5, -0.5, 0.5), "relaxed"),
            ((0.5, -0.5, -0.5), "docile"),
            ((-0.5, -0.5, -0.5), "bored"),
            ((-0.5, -0.5, 0.5), "disdainful"),
            ((-0.5, 0.5, -0.5), "anxious"),
            ((-0.5, 0.5, 0.5), "hostile"),
            ((0.05, -0.05, 0.05), "neutral"),
            ((0.0, 0.0, 0.0), "neutral"),
        ],
    )
    def test_each_octant_has_its_name(self, point: rules.Point, label: str) -> None:
        assert rules.label(*point) == label

    def test_a_label_that_was_not_given_is_derived_and_one_that_was_is_kept(self) -> None:
        furious = Affect(valence=-0.9, arousal=0.9, dominance=0.9)
        assert rules.labelled(furious).label == "hostile"
        assert rules.labelled(replace(furious, label="livid")).label == "livid"


class TestCollective:
    def test_it_is_the_mean(self) -> None:
        felt = rules.collective([Affect(valence=-0.6, arousal=0.8, dominance=0.2), Affect(valence=0.2, arousal=0.0, dominance=0.0)])
        assert (felt.valence, felt.arousal, felt.dominance, felt.label) == (-0.2, 0.4, 0.1, "hostile")

    def test_of_nobody_it_is_neutral_and_coherent(self) -> None:
        assert rules.collective([]) == Collective(valence=0.0, arousal=0.0, dominance=0.0, label="neutral")
        assert rules.coherence([]) == 1.0

    def test_one_agent_is_coherent_and_opposite_corners_are_not(self) -> None:
        high, low = Affect(valence=1, arousal=1, dominance=1), Affect(valence=-1, arousal=-1, dominance=-1)
        assert rules.coherence([high]) == 1.0
        assert rules.coherence([high, low]) == 0.0
        assert rules.coherence([high, high, low]) == pytest.approx(1 / 3, abs=1e-4)

    @given(st.lists(affects, max_size=6), st.randoms())
    def test_the_order_of_the_states_does_not_matter(self, states: list[Affect], random: object) -> None:
        shuffled = sorted(states, key=lambda _: random.random())  # type: ignore[attr-defined]
        assert rules.collective(shuffled) == rules.collective(states)
        assert rules.coherence(shuffled) == pytest.approx(rules.coherence(states), abs=1e-4)
        assert 0.0 <= rules.coherence(states) <= 1.0


class TestAlignment:
    @pytest.mark.parametrize("at", [(0.0, 0.0), (0.5, 1.0), (1.0, -1.0)])
    def test_a_mesh_that_is_not_displeased_works_as_usual(self, at: tuple[float, float]) -> None:
        aligned = rules.alignment(collective(*at), 1.0)
        assert (aligned.task_concurrency_factor, aligned.approval_confidence_min) == (1.0, 0.5)

    def test_utter_distress_takes_a_quarter_and_asks_for_nine_tenths(self) -> None:
        aligned = rules.alignment(collective(-1.0, 1.0), 1.0)
        assert (aligned.task_concurrency_factor, aligned.approval_confidence_min) == (0.25, 0.9)

    def test_the_example_of_the_docs(self) -> None:
        aligned = rules.alignment(collective(-0.6, 0.5), 0.8)
        assert (aligned.task_concurrency_factor, aligned.approval_confidence_min) == (0.6963, 0.662)

    @given(signed, signed, unit)
    def test_it_is_bounded(self, v: float, a: float, cohering: float) -> None:
        aligned = rules.alignment(collective(v, a), cohering)
        assert 0.25 <= aligned.task_concurrency_factor <= 1
        assert 0.5 <= aligned.approval_confidence_min <= 0.9

    @given(signed, signed, unit, signed, signed, unit)
    def test_more_distress_never_means_more_work_or_easier_approval(
        self, v: float, a: float, c: float, v2: float, a2: float, c2: float
    ) -> None:
        calmer = rules.alignment(collective(max(v, v2), min(a, a2)), min(c, c2))
        tenser = rules.alignment(collective(min(v, v2), max(a, a2)), max(c, c2))
        assert tenser.task_concurrency_factor <= calmer.task_concurrency_factor
        assert tenser.approval_confidence_min >= calmer.approval_confidence_min


def decision(status: Verdict, choice: str | None, **votes: str) -> Decision:
    cast = [
        CountedVote(agent=agent, choice=vote, confidence=1, rationale="", evidence=[], seq=i, counted=True)
        for i, (agent, vote) in enumerate(votes.items())
    ]
    return Decision(status=status, choice=choice, tally={}, votes=cast, decided_at_seq=9)


class TestWhatConcernsAnAgent:
    def stimulus(self, body: object, own: dict[str, str] | None = None, **tokens: str) -> Stimulus | None:
        return rules.stimulus_in("nexus", own or {}, entry(body, **tokens))

    @pytest.mark.parametrize(
        ("status", "event"),
        [("succeeded", "task_succeeded"), ("failed", "task_failed"), ("expired", "task_failed"), ("cancelled", None)],
    )
    def test_the_end_of_its_own_task(self, status: TaskEnd, event: str | None) -> None:
        found = self.stimulus(Finished(status=status, agent="nexus"), task="t1")
        assert (found.event if found else None) == event

    def test_not_the_end_of_anothers_task(self) -> None:
        assert self.stimulus(Finished(status="failed", agent="aria"), task="t1") is None
        assert self.stimulus(Finished(status="failed"), task="t1") is None

    def test_a_stimulus_for_it_and_for_nobody_else(self) -> None:
        asked = Stimulus(event="praise", cause="well done")
        assert self.stimulus(asked, agent="nexus") == asked
        assert self.stimulus(asked, agent="aria") is None

    @pytest.mark.parametrize(
        ("status", "event"),
        [("accepted", "proposal_accepted"), ("rejected", "proposal_rejected"), ("expired", "proposal_rejected")],
    )
    def test_how_its_own_proposal_ended(self, status: Verdict, event: str) -> None:
        found = self.stimulus(decision(status, None), {"p1": "Use Redis"}, proposal="p1")
        assert found is not None
        assert found.event == event
        assert "Use Redis" in found.cause

    @pytest.mark.parametrize(
        ("status", "choice", "mine", "lost"),
        [
            ("accepted", "approve", "reject", True),
            ("accepted", "blue", "green", True),
            ("rejected", None, "approve", True),
            ("rejected", "reject", "reject", False),
            ("accepted", "approve", "approve", False),
            ("accepted", "approve", "abstain", False),
            ("expired", None, "approve", False),
        ],
    )
    def test_a_lost_vote_is_a_mild_disappointment(self, status: Verdict, choice: str | None, mine: str, lost: bool) -> None:
        found = self.stimulus(decision(status, choice, nexus=mine, aria="approve"), proposal="p1")
        assert bool(found) == lost
        if found:
            assert (found.event, found.intensity) == ("proposal_rejected", rules.VOTE_LOST_INTENSITY)

    def test_not_a_decision_it_had_no_part_in(self) -> None:
        assert self.stimulus(decision("accepted", "approve", aria="reject"), proposal="p1") is None


class TestFold:
    def test_the_last_word_of_an_agent_holds(self) -> None:
        first = rules.apply(None, entry(replace(CALM, valence=0.1), seq=1))
        then = rules.apply(first, entry(replace(CALM, valence=-0.9), seq=2))
        assert (then.affect.valence, then.seq, then.view().updated_at) == (-0.9, 2, "2026-11-22T12:00:00.000000Z")

    def test_an_entry_read_again_changes_nothing(self) -> None:
        then = rules.apply(None, entry(replace(CALM, valence=0.1), seq=2))
        assert rules.apply(then, entry(replace(CALM, valence=0.9), seq=1)) == then


class TestWeights:
    """How much an event matters may be judged elsewhere; the table and the bounds stay here."""

    def test_a_coordinate_moves_more_or_less_but_never_the_other_way(self) -> None:
        stimulus = Stimulus(event="threat", cause="x", intensity=0.4)
        plain = rules.point(rules.appraise(CALM, stimulus))
        weighed = rules.point(rules.appraise(CALM, stimulus, (1.5, 0.5, 1.0)))
        assert weighed == pytest.approx((plain[0] * 1.5, plain[1] * 0.5, plain[2]), abs=1e-4)

    @pytest.mark.parametrize(("asked", "counts"), [(-7.0, rules.WEIGHT_MIN), (99.0, rules.WEIGHT_MAX)])
    def test_a_weight_beyond_its_bounds_counts_as_the_bound(self, asked: float, counts: float) -> None:
        stimulus = Stimulus(event="blame", cause="x", intensity=0.4)
        assert rules.appraise(CALM, stimulus, (asked,) * 3) == rules.appraise(CALM, stimulus, (counts,) * 3)

    def test_a_pull_is_no_event_and_is_not_weighed(self) -> None:
        stimulus = Stimulus(valence=-0.5, cause="x")
        assert rules.appraise(CALM, stimulus, (1.5, 1.5, 1.5)) == rules.appraise(CALM, stimulus)
