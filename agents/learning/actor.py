"""The hands of cross-learning: integrates lessons, gives receipts, answers who has what."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial

import msgspec

from agents import paging
from agents.learning import rules
from agents.members.actor import Members
from agents.protocol import Duty, Question
from agents.relevance import similarity
from bus import subjects
from bus.connection import Bus
from bus.errors import not_found
from bus.ids import derived
from schemas.entry import Entry
from schemas.learning import Integrated, Lesson, LessonFilter, LessonPage, LessonView
from schemas.members import Ask

RELEVANCE_MIN = 0.1
"""Below this similarity (0…1) a lesson has nothing to say to a question."""
KNOWN_WITHIN_S = 1.0
"""How long an id may be unknown before the answer is that there is none: this fold may be a moment behind."""
FORGOTTEN_KEPT_MAX = 100_000
"""Most forgotten ids that are remembered, so that none of them is learned again when it comes late; the oldest go first."""
SAME_DOMAIN_BONUS = 0.15
"""What the same domain adds to the similarity."""


class RelevantLesson(msgspec.Struct, frozen=True):
    """A lesson this agent holds, and how near it is to what was asked."""

    lesson_id: str
    agent: str
    lesson: Lesson
    similarity: float


class Learning:
    """This agent's knowledge of all lessons, and of who has integrated them."""

    def __init__(self, bus: Bus, agent: str, members: Members, until: Callable[[Callable[[], bool], float], Awaitable[bool]]) -> None:
        self._bus = bus
        self._agent = agent
        self._members = members
        self._until = until
        self._lessons: dict[str, rules.LessonState] = {}
        self._to_integrate: dict[str, None] = {}
        self._forgotten: dict[str, None] = {}

    def relevant(self, text: str, domain: str | None, limit: int = 5) -> list[RelevantLesson]:
        """The lessons this agent holds that bear on `text`, nearest first."""
        found = []
        for state in self._lessons.values():
            if rules.holds(state, self._agent):
                lesson = state.lesson
                near = similarity(text, f"{lesson.topic} {lesson.content} {' '.join(lesson.tags)}")
                if near >= RELEVANCE_MIN:
                    bonus = SAME_DOMAIN_BONUS if domain and lesson.domain == domain else 0.0
                    found.append(RelevantLesson(state.lesson_id, state.agent, lesson, min(1.0, near + bonus)))
        return sorted(found, key=lambda r: (-r.similarity, r.lesson_id))[:limit]

    # the protocol's shape

    def apply(self, entry: Entry) -> None:
        """Fold a lesson or a receipt; what this agent does not hold yet is to be integrated, what is forgotten is dropped."""
        for gone in rules.forgotten(entry):
            self._forget(gone)
        ident = rules.lesson_id(entry)
        if ident is None or ident in self._forgotten:
            return
        state = rules.apply(self._lessons.get(ident), entry)
        if state is None:
            return
        self._lessons[ident] = state
        if rules.holds(state, self._agent):
            self._to_integrate.pop(ident, None)
        else:
            self._to_integrate[ident] = None

    def _forget(self, ident: str) -> None:
        self._lessons.pop(ident, None)
        self._to_integrate.pop(ident, None)
        self._forgotten[ident] = None
        if len(self._forgotten) > FORGOTTEN_KEPT_MAX:
            del self._forgotten[next(iter(self._forgotten))]

    def duties(self, now: datetime) -> Sequence[Duty]:
        return [Duty(f"integrate {ident}", partial(self._integrate, ident)) for ident in self._to_integrate]

    async def _integrate(self, ident: str) -> None:
        receipt = Integrated(lesson_id=ident)
        await self._bus.publish(subjects.INTEGRATED, receipt, msg_id=derived(ident, self._agent, "integrated"), agent=self._agent)

    def questions(self) -> Sequence[Question]:
        return [(subjects.ASK_LESSON, self._lesson), (subjects.ASK_LESSONS, self._list)]

    async def _lesson(self, ask: Ask) -> LessonView:
        if not await self._until(lambda: ask.id in self._lessons, KNOWN_WITHIN_S):
            raise not_found(f"no lesson {ask.id}")
        if ask.wait_s:
            await self._until(partial(self._everyone_has, ask.id), ask.wait_s)
        if ask.id not in self._lessons:
            raise not_found(f"lesson {ask.id} was forgotten")
        return self._view(self._lessons[ask.id])

    def _everyone_has(self, ident: str) -> bool:
        """Also true of a lesson that was forgotten meanwhile: nobody waits for it any more."""
        return ident not in self._lessons or rules.complete(self._lessons[ident], self._members.present("lessons"))

    async def _list(self, which: LessonFilter) -> LessonPage:
        newest_first = (
            (s.seq, s)
            for s in sorted(self._lessons.values(), key=lambda s: -s.seq)
            if which.agent in (None, s.agent) and which.topic in (None, s.lesson.topic)
        )
        found, before = paging.page(newest_first, which.before, which.limit)
        return LessonPage(lessons=[self._view(s) for s in found], next_before=before)

    def _view(self, state: rules.LessonState) -> LessonView:
        return rules.view(state, self._members.known("lessons"))
