"""What an agent does with lessons that were forgotten."""

from datetime import UTC, datetime
from typing import Any

import pytest

from agents.learning.actor import Learning
from bus import subjects
from bus.errors import Refused
from schemas.entry import Entry
from schemas.forgetting import Forgotten
from schemas.learning import Lesson, LessonFilter
from schemas.members import Ask

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Nobody:
    """The other members, of whom there are none."""

    def present(self, _what: str) -> dict[str, Any]:
        return {}

    known = present


async def at_once(met: Any, _timeout_s: float) -> bool:
    return bool(met())


def entry(seq: int, body: Any, row: subjects.Subject, **tokens: str) -> Entry:
    return Entry(seq=seq, time=NOW, event_id=f"E{seq}", subject=row.subject(**tokens), name=row.name, tokens=tokens, body=body)


def lesson(seq: int, text: str) -> Entry:
    return entry(seq, Lesson(topic="pools", content=text), subjects.LESSON, agent="nexus")


def forgotten(*ids: str) -> Entry:
    return entry(99, Forgotten(ids=list(ids)), subjects.FORGOTTEN, receipt="r")


@pytest.fixture
def aria() -> Learning:
    learning = Learning(None, "aria", Nobody(), at_once)  # type: ignore[arg-type]
    learning.apply(lesson(1, "pools larger than the cores are slow"))
    learning.apply(lesson(2, "pools want a limit"))
    return learning


async def listed(learning: Learning) -> list[str]:
    questions = dict(learning.questions())
    return [view.lesson_id for view in (await questions[subjects.ASK_LESSONS](LessonFilter())).lessons]


async def test_a_forgotten_lesson_is_neither_listed_nor_told_nor_integrated(aria: Learning) -> None:
    aria.apply(forgotten("E1"))
    assert await listed(aria) == ["E2"]
    assert [duty.key for duty in aria.duties(NOW)] == ["integrate E2"]
    with pytest.raises(Refused):
        await dict(aria.questions())[subjects.ASK_LESSON](Ask(id="E1"))


def test_a_forgotten_lesson_is_used_no_more() -> None:
    nexus = Learning(None, "nexus", Nobody(), at_once)  # type: ignore[arg-type]
    nexus.apply(lesson(1, "pools larger than the cores are slow"))
    assert [known.lesson_id for known in nexus.relevant("large pools", None)] == ["E1"]
    nexus.apply(forgotten("E1"))
    assert nexus.relevant("large pools", None) == []


async def test_one_that_comes_again_under_its_old_id_is_not_learned(aria: Learning) -> None:
    aria.apply(forgotten("E1"))
    aria.apply(lesson(1, "pools larger than the cores are slow"))
    assert await listed(aria) == ["E2"]
