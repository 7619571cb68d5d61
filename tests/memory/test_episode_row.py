"""Which row an entry of the log becomes."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from bus import subjects
from memory.episode_row import EpisodeRow, content_hash, episode_row
from memory.importance import IMPORTANCE, importance
from schemas.consensus import Vote
from schemas.entry import Entry
from schemas.learning import Lesson
from schemas.memory import Action
from schemas.tasks import AssignedTask, Assignment

LOGGED = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def row_of(row: subjects.Subject, body: Any, **tokens: str) -> EpisodeRow:
    subject = row.subject(**tokens)
    return episode_row(Entry(seq=7, time=LOGGED, event_id="e7", subject=subject, name=row.name, tokens=tokens, body=body))


class TestAction:
    def test_it_stands_as_it_was_said(self) -> None:
        said = datetime(2020, 1, 1, tzinfo=UTC)
        action = Action(
            action_type="fix", action_details={"text": "done"}, importance_score=0.9, tags=["a"], timestamp=said, session_id="s"
        )
        row = row_of(subjects.EPISODE, action, agent="nexus")
        assert (row.kind, row.agent_id, row.action_type, row.importance_score, row.tags) == ("episode", "nexus", "fix", 0.9, '["a"]')
        assert (row.timestamp, row.recorded_at, row.session_id, row.stream_seq, row.episode_id) == (said, LOGGED, "s", 7, "e7")

    def test_without_a_time_of_its_own_it_has_the_logs(self) -> None:
        assert row_of(subjects.EPISODE, Action(action_type="fix"), agent="nexus").timestamp == LOGGED

    def test_nul_becomes_the_replacement_character_and_a_written_escape_stays(self) -> None:
        details = {"text": "a\0b", "k\0": ["\0"], "kept": "\\u0000"}
        row = row_of(subjects.EPISODE, Action(action_type="fix", action_details=details), agent="nexus")
        assert msgspec.json.decode(row.action_details) == {"text": "a\ufffdb", "k\ufffd": ["\ufffd"], "kept": "\\u0000"}
        assert row.content == "a\ufffdb"


class TestLesson:
    def test_its_confidence_is_its_importance_and_its_text_is_topic_and_content(self) -> None:
        row = row_of(subjects.LESSON, Lesson(topic="databases", content="Vacuum often", confidence=0.6, tags=["pg"]), agent="aria")
        assert (row.kind, row.action_type, row.importance_score, row.tags) == ("lesson", "lesson", 0.6, '["pg"]')
        assert row.content == "databases\nVacuum often"
        assert msgspec.json.decode(row.action_details)["topic"] == "databases"


class TestProtocolEvent:
    def test_it_is_named_after_its_row_and_holds_the_tokens_of_its_subject(self) -> None:
        row = row_of(subjects.VOTE, Vote(choice="approve", rationale="cheap"), proposal="p1", agent="nexus")
        details = msgspec.json.decode(row.action_details)
        assert (row.action_type, row.agent_id, row.importance_score) == (subjects.VOTE.name, "nexus", 0.5)
        assert (details["proposal"], details["choice"]) == ("p1", "approve")
        assert "agent" not in details

    def test_where_the_subject_names_no_agent_it_is_the_meshs(self) -> None:
        assert row_of(subjects.DEADLINE, msgspec.convert({}, subjects.DEADLINE.body), proposal="p1").agent_id == "mesh"

    def test_a_token_whose_name_the_body_uses_gives_way(self) -> None:
        body = Assignment(fence=1, lease_s=1, task=AssignedTask(task_id="t1", title="x"))
        details = msgspec.json.decode(row_of(subjects.TASK_ASSIGNED, body, task="t1", agent="aria").action_details)
        assert details["task"]["title"] == "x"
        assert details["task_id"] == "t1"

    def test_every_weight_lies_between_0_and_1_and_every_row_of_the_log_has_one(self) -> None:
        assert all(0 <= weight <= 1 for weight in IMPORTANCE.values())
        logged = {row.name for row in subjects.TABLE if row.stream == subjects.MESH}
        assert logged - set(IMPORTANCE) == {subjects.EPISODE.name, subjects.LESSON.name}
        assert importance("something new") == 0.5


class TestContentHash:
    def test_the_order_of_keys_does_not_count(self) -> None:
        assert content_hash("s", {"a": 1, "b": {"c": 2, "d": 3}}) == content_hash("s", {"b": {"d": 3, "c": 2}, "a": 1})

    def test_the_content_and_the_subject_do(self) -> None:
        assert len({content_hash("s", {"a": 1}), content_hash("s", {"a": 2}), content_hash("t", {"a": 1})}) == 3

    def test_the_time_of_the_log_does_not(self) -> None:
        first = row_of(subjects.EPISODE, Action(action_type="fix"), agent="nexus")
        entry = Entry(
            seq=9,
            time=datetime(2027, 1, 1, tzinfo=UTC),
            event_id="e7",
            subject=first.subject,
            name="episode",
            tokens={"agent": "nexus"},
            body=Action(action_type="fix"),
        )
        assert episode_row(entry).content_hash == first.content_hash
