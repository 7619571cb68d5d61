"""What each entry says of how things hang together."""

from typing import Any

import pytest

from bus import subjects
from bus.ids import affect_answer_id
from memory.edges import MENTIONS_MAX, SCANNED_LEN_MAX, UUID, edges_of
from memory.episode_row import EpisodeRow
from schemas.concepts import ConceptFormed
from schemas.consensus import Decision, Opened, Proposal, Vote
from schemas.emotion import Stimulus
from schemas.learning import Integrated, Lesson
from schemas.memory import Action
from schemas.tasks import AssignedTask, Assignment, Cancel, Failure, Finished, Progress, Result, Submission, TaskError
from tests.memory.logged import logged

A = "0192f0c0-0000-7000-8000-00000000000a"
B = "0192f0c0-0000-7000-8000-00000000000b"


def drawn(row: EpisodeRow) -> set[tuple[str, str, str]]:
    return {(e.source, e.kind, e.target) for e in edges_of(row)}


def action(**fields: Any) -> EpisodeRow:
    return logged(1, subjects.EPISODE, Action(action_type="note", **fields), agent="nexus")


class TestAnEpisode:
    def test_refers_to_its_cross_reference(self) -> None:
        assert drawn(action(cross_reference=A)) == {("event-1", "cross_reference", A)}

    def test_is_derived_from_its_sources(self) -> None:
        assert drawn(action(action_details={"source_episodes": ["x", "y"]})) == {
            ("event-1", "derived_from", "x"),
            ("event-1", "derived_from", "y"),
        }

    def test_mentions_every_uuid_in_its_details_context_and_handoff_packet(self) -> None:
        row = action(action_details={"deep": [{"text": f"as in {A}, and"}]}, context_state={"b": B}, handoff_packet={"c": f"({B[:-1]}c)"})
        assert drawn(row) == {("event-1", "mentions", i) for i in (A, B, f"{B[:-1]}c")}

    def test_mentions_ids_of_any_form_in_fields_that_hold_ids(self) -> None:
        row = action(action_details={"task": "rollout-42", "evidence": ["note-7", "note-8"], "text": "rollout-43"})
        assert drawn(row) == {("event-1", "mentions", i) for i in ("rollout-42", "note-7", "note-8")}

    def test_a_field_that_holds_a_sentence_names_nothing(self) -> None:
        assert drawn(action(action_details={"task": "write the parser"})) == set()

    def test_does_not_refer_to_itself(self) -> None:
        row = logged(1, subjects.EPISODE, Action(action_type="note", action_details={"text": A}), event_id=A, agent="nexus")
        assert drawn(row) == set()

    def test_a_uuid_in_capitals_is_one_that_is_spelt_small(self) -> None:
        assert ("event-1", "mentions", A) in drawn(action(action_details={"text": A.upper()}))

    def test_mentions_no_more_than_the_limit(self) -> None:
        many = " ".join(f"{A[:-3]}{n:03d}" for n in range(MENTIONS_MAX * 2))
        assert len(edges_of(action(action_details={"text": many}))) == MENTIONS_MAX

    def test_what_stands_too_far_behind_is_not_scanned(self) -> None:
        assert drawn(action(action_details={"text": "x " * SCANNED_LEN_MAX + A})) == set()

    def test_nul_in_an_id_is_written_as_it_is_stored(self) -> None:
        assert drawn(action(action_details={"episode": "a\0b"})) == {("event-1", "mentions", "a\ufffdb")}


class TestLessonsAndConcepts:
    def test_a_lesson_is_derived_from_its_episodes_and_mentions_others(self) -> None:
        lesson = Lesson(topic="t", content=f"see {B}", source_episodes=[A])
        found = edges_of(logged(1, subjects.LESSON, lesson, agent="aria"))
        assert [(e.source_kind, e.kind, e.target) for e in found] == [("lesson", "derived_from", A), ("lesson", "mentions", B)]

    def test_a_concept_is_derived_from_its_episodes_and_contradicts_others(self) -> None:
        formed = ConceptFormed(concept="c", content="x", source_episodes=["e1"], contradicts=["c2"])
        row = logged(1, subjects.CONCEPT, formed, concept="c1")
        assert drawn(row) == {("c1", "derived_from", "e1"), ("c1", "contradicts", "c2")}
        assert {e.source_kind for e in edges_of(row)} == {"concept"}

    def test_a_receipt_of_a_lesson_says_nothing(self) -> None:
        assert drawn(logged(1, subjects.INTEGRATED, Integrated(lesson_id=A), agent="aria")) == set()


class TestConsensus:
    def test_a_proposal_is_caused_by_its_entry_and_its_evidence(self) -> None:
        row = logged(1, subjects.PROPOSAL, Proposal(title="t", description=f"as {B}", evidence=[A]), proposal="p1", agent="ricardo")
        assert drawn(row) == {("event-1", "caused", "p1"), (A, "caused", "p1"), ("event-1", "mentions", B)}

    def test_a_vote_is_that_of_its_agent_and_tells_what_was_before_it(self) -> None:
        row = logged(1, subjects.VOTE, Vote(choice="approve", evidence=["e1"], recalled=["e1", "e2"]), proposal="p1", agent="aria")
        assert drawn(row) == {
            ("aria", "voted_on", "p1"),
            ("event-1", "mentions", "p1"),
            ("e1", "informed", "p1"),
            ("e2", "informed", "p1"),
        }
        assert {e.agent_id for e in edges_of(row)} == {"aria"}

    def test_a_vote_without_a_receipt_says_who_voted(self) -> None:
        row = logged(1, subjects.VOTE, Vote(choice="approve"), proposal="p1", agent="ops")
        assert drawn(row) == {("ops", "voted_on", "p1"), ("event-1", "mentions", "p1")}

    def test_a_decision_is_caused_by_its_proposal(self) -> None:
        decision = Decision(status="expired", choice=None, tally={}, votes=[], decided_at_seq=1)
        assert drawn(logged(1, subjects.DECISION, decision, proposal="p1")) == {("p1", "caused", "event-1")}

    def test_an_opening_says_nothing_new(self) -> None:
        opened = Opened(title="t", electorate=["aria"], proposer="ops", deadline="2027-01-01T00:00:00Z", evidence=[A])
        assert drawn(logged(1, subjects.OPENED, opened, proposal="p1")) == set()


class TestTasks:
    def test_a_submission_and_its_parent_cause_the_task(self) -> None:
        row = logged(1, subjects.TASK_SUBMITTED, Submission(title="t", input={"id": A}, parent="whole"), task="t1")
        assert drawn(row) == {("event-1", "caused", "t1"), ("whole", "caused", "t1"), ("event-1", "mentions", A)}

    def test_an_assignment_leads_from_the_task_to_the_agent(self) -> None:
        body = Assignment(fence=1, lease_s=1, task=AssignedTask(title="t", task_id="t1"))
        assert drawn(logged(1, subjects.TASK_ASSIGNED, body, task="t1", agent="aria")) == {("t1", "assigned", "aria")}

    @pytest.mark.parametrize(
        ("row", "body"),
        [
            (subjects.TASK_RESULT, Result(fence=1, output={"see": A}, recalled=["e1"])),
            (subjects.TASK_FAILED, Failure(fence=1, error=TaskError(code="c", message=f"see {A}"), recalled=["e1"])),
        ],
    )
    def test_an_outcome_is_caused_by_the_task_that_its_memories_informed(self, row: subjects.Subject, body: Any) -> None:
        found = drawn(logged(1, row, body, task="t1", agent="aria"))
        assert found == {("t1", "caused", "event-1"), ("e1", "informed", "t1"), ("event-1", "mentions", A)}

    def test_a_cancel_mentions_it(self) -> None:
        assert drawn(logged(1, subjects.TASK_CANCEL, Cancel(), task="t1", agent="ops")) == {("event-1", "mentions", "t1")}

    def test_progress_says_nothing(self) -> None:
        assert drawn(logged(1, subjects.TASK_PROGRESS, Progress(fence=1), task="t1", agent="ops")) == set()

    def test_its_end_causes_what_the_agent_feels(self) -> None:
        felt = affect_answer_id("aria", "event-1", 1)
        row = logged(1, subjects.TASK_FINISHED, Finished(status="succeeded", agent="aria"), task="t1")
        assert drawn(row) == {("t1", "caused", "event-1"), ("event-1", "caused", felt)}
        assert drawn(logged(1, subjects.TASK_FINISHED, Finished(status="expired"), task="t1")) == {("t1", "caused", "event-1")}


class TestAffect:
    def test_a_stimulus_causes_the_state_that_answers_it(self) -> None:
        row = logged(7, subjects.STIMULUS, Stimulus(cause="c", event="praise"), agent="aria")
        assert drawn(row) == {("event-7", "caused", affect_answer_id("aria", "event-7", 7))}


class TestDeterminism:
    def test_the_same_entry_draws_the_same_in_the_same_order(self) -> None:
        row = action(action_details={"text": f"{B} {A} {B}", "evidence": ["z", "a"]}, cross_reference=A)
        assert edges_of(row) == edges_of(row)
        assert [e.target for e in edges_of(row)] == [A, "z", "a", B, A]

    def test_a_uuid_is_one_as_it_is_written_here(self) -> None:
        assert UUID.findall(f"{A}{B} x{A} {A}") == [A]
