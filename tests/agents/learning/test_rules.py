"""The law of cross-learning."""

from datetime import UTC, datetime

from msgspec import structs

from agents.learning import rules
from schemas.entry import Entry
from schemas.learning import Integrated, Lesson

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def lesson(agent: str = "nexus") -> Entry:
    body = Lesson(topic="t", content="c")
    return Entry(seq=1, time=NOW, event_id="L", subject="-", name="lesson", tokens={"agent": agent}, body=body)


def receipt(agent: str, seq: int = 2) -> Entry:
    body = Integrated(lesson_id="L")
    return Entry(seq=seq, time=NOW, event_id=f"R{seq}", subject="-", name="lesson.integrated", tokens={"agent": agent}, body=body)


def folded(*entries: Entry) -> rules.LessonState:
    state = None
    for entry in entries:
        state = rules.apply(state, entry)
    assert state is not None
    return state


def test_stored_is_not_integrated() -> None:
    view = rules.view(folded(lesson()), {"nexus": 0, "aria": 0})
    assert (view.stored, view.recipients, view.integrated_by) == (True, ["aria"], [])


def test_a_receipt_counts_once() -> None:
    state = folded(lesson(), receipt("aria"), receipt("aria", 3))
    assert state.integrated_by == ("aria",)


def test_the_same_lesson_published_again_keeps_its_receipts() -> None:
    again = structs.replace(lesson(), seq=5)
    assert folded(lesson(), receipt("aria"), again).integrated_by == ("aria",)


def test_a_receipt_that_stands_before_its_lesson_counts_for_nobody() -> None:
    early, kept, late = receipt("aria", 1), structs.replace(lesson(), seq=2), receipt("ricardo", 3)
    assert rules.apply(None, early) is None
    assert folded(kept, late) == folded(kept, early, kept, late), "also where the kept lessons are read before the log"


def test_a_receipt_for_an_unknown_lesson_is_dropped() -> None:
    assert rules.apply(None, receipt("aria")) is None


def test_recipients_include_gone_agents_and_never_the_sender() -> None:
    assert rules.view(folded(lesson()), {"nexus": 0, "aria": 0, "long-gone": 0}).recipients == ["aria", "long-gone"]


def test_it_is_complete_when_everyone_who_is_there_has_it() -> None:
    state = folded(lesson(), receipt("aria"))
    assert rules.complete(state, ["nexus", "aria"])
    assert not rules.complete(state, ["nexus", "aria", "ricardo"])


def test_the_sender_holds_its_own_lesson_from_the_start() -> None:
    assert rules.holds(folded(lesson()), "nexus")
    assert not rules.holds(folded(lesson()), "aria")
