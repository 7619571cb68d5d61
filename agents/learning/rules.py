"""The law of cross-learning: what a lesson's state is, who must have it, and who has."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from schemas.entry import Entry
from schemas.forgetting import Forgotten
from schemas.learning import Integrated, Lesson, LessonView
from schemas.words import rfc3339


class LessonState(msgspec.Struct, frozen=True):
    """A lesson on the log, and the agents whose receipt stands there, in the order they came."""

    lesson_id: str
    agent: str
    lesson: Lesson
    seq: int
    published_at: str
    integrated_by: tuple[str, ...] = ()


def apply(state: LessonState | None, entry: Entry) -> LessonState | None:
    """Fold a lesson or a receipt; a receipt for an unknown lesson is dropped, a second one changes nothing."""
    match entry.body:
        case Lesson():
            return state or LessonState(entry.event_id, entry.agent, entry.body, entry.seq, rfc3339(entry.time))
        case Integrated() if state and entry.agent not in state.integrated_by:
            return msgspec.structs.replace(state, integrated_by=(*state.integrated_by, entry.agent))
    return state


def forgotten(entry: Entry) -> Sequence[str]:
    """The event ids that an entry says are forgotten: lessons among them are dropped, and not learned again."""
    return entry.body.ids if isinstance(entry.body, Forgotten) else ()


def lesson_id(entry: Entry) -> str | None:
    """Which lesson an entry is about, or None where it is about none."""
    match entry.body:
        case Lesson():
            return entry.event_id
        case Integrated():
            return entry.body.lesson_id
    return None


def holds(state: LessonState, agent: str) -> bool:
    """Whether the lesson is `agent`'s own: it wrote it, or has integrated it."""
    return agent == state.agent or agent in state.integrated_by


def complete(state: LessonState, present: Iterable[str]) -> bool:
    """Whether everyone who is there now has it."""
    return all(holds(state, agent) for agent in present)


def view(state: LessonState, known: Mapping[str, object]) -> LessonView:
    """The lesson with its receipts; `known` are the agents that take lessons."""
    return LessonView(
        lesson_id=state.lesson_id,
        stored=True,
        stream_seq=state.seq,
        recipients=sorted(set(known) - {state.agent}),
        integrated_by=sorted(set(state.integrated_by) - {state.agent}),
        agent=state.agent,
        topic=state.lesson.topic,
        content=state.lesson.content,
        domain=state.lesson.domain,
        confidence=state.lesson.confidence,
        tags=list(state.lesson.tags),
        source_episodes=list(state.lesson.source_episodes),
        published_at=state.published_at,
    )
