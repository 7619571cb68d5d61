"""Lessons above the limit: what an agent holds of them, whatever it reads first."""

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import structs

from agents.learning.actor import Learning
from schemas.entry import Entry
from schemas.learning import Lesson, LessonsRefused

START = datetime(2026, 11, 22, 10, tzinfo=UTC)


def lesson(seq: int, second: float, ident: str) -> Entry:
    body = Lesson(topic=ident, content="c")
    at = START + timedelta(seconds=second)
    return Entry(seq=seq, time=at, event_id=ident, subject="-", name="lesson", tokens={"agent": "ops"}, body=body)


def refused(seq: int, *idents: str) -> Entry:
    body = LessonsRefused(lesson_ids=list(idents), reason="rate_limited")
    return Entry(seq=seq, time=START, event_id=f"R{seq}", subject="-", name="lesson.refused", tokens={"agent": "ops"}, body=body)


def reading(*entries: Entry) -> Learning:
    learning = Learning(None, "aria", None, None, per_minute_max=2)  # type: ignore[arg-type]
    for entry in entries:
        learning.apply(entry)
    return learning


def duties(learning: Learning) -> list[str]:
    return [duty.key for duty in learning.duties(START)]


FLOOD = (lesson(1, 0, "a"), lesson(2, 1, "b"), lesson(3, 2, "c"))
KEPT = tuple(structs.replace(entry, sourced=True, time=START) for entry in FLOOD)
"""The same lessons as the stream that keeps them for good tells them, at times of its own."""


def test_one_too_many_is_refused_and_not_integrated() -> None:
    assert duties(reading(*FLOOD)) == ["integrate a", "integrate b", "refuse lessons of ops"]


def test_once_the_log_says_so_nothing_is_left_to_do_about_it() -> None:
    assert duties(reading(*FLOOD, refused(4, "c"))) == ["integrate a", "integrate b"]


def test_who_reads_the_kept_lessons_first_comes_to_the_same() -> None:
    assert duties(reading(*KEPT, *FLOOD)) == duties(reading(*FLOOD))
    assert duties(reading(*KEPT, *FLOOD, refused(4, "c"))) == duties(reading(*FLOOD, refused(4, "c")))


def test_kept_lessons_alone_are_taken_whenever_they_were_copied() -> None:
    assert duties(reading(*KEPT)) == ["integrate a", "integrate b", "integrate c"]


def test_what_the_log_says_is_refused_is_dropped_where_its_own_entry_is_gone() -> None:
    assert duties(reading(*KEPT, refused(4, "c"))) == ["integrate a", "integrate b"]


def test_the_same_lesson_published_again_is_not_counted_twice() -> None:
    again = (lesson(4, 3, "a"), lesson(5, 4, "a"))
    assert duties(reading(FLOOD[0], *again, FLOOD[1])) == ["integrate a", "integrate b"]


def test_a_dead_letter_that_is_sent_again_later_is_taken() -> None:
    learning = reading(*FLOOD, refused(4, "c"), lesson(5, 100, "c"))
    assert duties(learning) == ["integrate a", "integrate b", "integrate c"]
    known: Any = learning
    assert known._refused == {}
