"""The hands of cross-learning: integrates lessons, gives receipts, refuses floods, answers who has what."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from agents import paging
from agents.learning import rules
from agents.learning.flood import RATE_LIMITED, Flood
from agents.members.actor import Members
from agents.protocol import Duty, Question
from agents.relevance import similarity
from agents.settings import AgentSettings
from bus import subjects
from bus.connection import Bus
from bus.entries import MSG_ID
from bus.errors import not_found, refusal
from bus.ids import derived
from schemas.dead import DeadLetter
from schemas.entry import Entry
from schemas.learning import Integrated, Lesson, LessonFilter, LessonPage, LessonsRefused, LessonView
from schemas.members import Ask
from schemas.words import rfc3339

RELEVANCE_MIN = 0.1
"""Below this similarity (0…1) a lesson has nothing to say to a question."""
KNOWN_WITHIN_S = 1.0
"""How long an id may be unknown before the answer is that there is none: this fold may be a moment behind."""
FORGOTTEN_KEPT_MAX = 100_000
"""Most forgotten ids that are remembered, so that none of them is learned again when it comes late; the oldest go first."""
REFUSED_KEPT_MAX = 100_000
"""Most refused lessons whose reason is remembered for who asks; the oldest go first."""
REFUSED_AT_ONCE_MAX = 100
"""Most lessons of one agent that are refused by one entry."""
PER_MINUTE_MAX = AgentSettings().lessons_per_minute_max
"""The limit where none is given."""
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

    def __init__(
        self,
        bus: Bus,
        agent: str,
        members: Members,
        until: Callable[[Callable[[], bool], float], Awaitable[bool]],
        per_minute_max: int = PER_MINUTE_MAX,
    ) -> None:
        self._bus = bus
        self._agent = agent
        self._members = members
        self._until = until
        self._lessons: dict[str, rules.LessonState] = {}
        self._to_integrate: dict[str, None] = {}
        self._forgotten: dict[str, None] = {}
        self._flood = Flood(per_minute_max)
        self._to_refuse: dict[str, Entry] = {}
        self._refused: dict[str, str] = {}

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
        if isinstance(entry.body, LessonsRefused):
            self._were_refused(entry.body)
        ident = rules.lesson_id(entry)
        if ident is None or ident in self._forgotten or self._floods(ident, entry):
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
        self._drop(ident)
        self._to_refuse.pop(ident, None)
        self._forgotten[ident] = None
        _bound(self._forgotten, FORGOTTEN_KEPT_MAX)

    def _drop(self, ident: str) -> None:
        self._lessons.pop(ident, None)
        self._to_integrate.pop(ident, None)

    def _floods(self, ident: str, entry: Entry) -> bool:
        """Whether this is a new lesson and one too many. What is kept for good was judged at its place in the log."""
        known = self._lessons.get(ident)
        if not isinstance(entry.body, Lesson) or entry.sourced or (known is not None and known.seq != entry.seq):
            return False
        if self._flood.takes(entry.agent, entry.time):
            self._refused.pop(ident, None)  # a dead letter that was sent again
            return False
        self._drop(ident)
        self._to_refuse[ident] = entry
        return True

    def _were_refused(self, body: LessonsRefused) -> None:
        for ident in body.lesson_ids:
            self._drop(ident)
            self._to_refuse.pop(ident, None)
            self._refused[ident] = body.reason
            _bound(self._refused, REFUSED_KEPT_MAX)

    def duties(self, now: datetime) -> Sequence[Duty]:
        own = [Duty(f"integrate {ident}", partial(self._integrate, ident)) for ident in self._to_integrate]
        senders = dict.fromkeys(entry.agent for entry in self._to_refuse.values())
        return own + [Duty(f"refuse lessons of {agent}", partial(self._refuse, agent), shared=True) for agent in senders]

    async def _refuse(self, agent: str) -> None:
        """Make dead letters of what an agent told too much, then say in the log that it is refused."""
        reason = self._flood.reason(agent)
        while flood := [ident for ident, entry in self._to_refuse.items() if entry.agent == agent][:REFUSED_AT_ONCE_MAX]:
            await asyncio.gather(*(self._bury(ident, self._to_refuse[ident], reason) for ident in flood))
            refused = LessonsRefused(lesson_ids=flood, reason=reason)
            await self._bus.publish(subjects.LESSONS_REFUSED, refused, msg_id=derived(*flood, "refused"), agent=agent)
            self._were_refused(refused)

    async def _bury(self, ident: str, entry: Entry, reason: str) -> None:
        letter = DeadLetter(
            reason=reason,
            subject=entry.subject,
            stream_seq=entry.seq,
            delivered=1,
            headers={MSG_ID: ident},
            data=base64.b64encode(msgspec.json.encode(entry.body)).decode(),
            first_seen=rfc3339(entry.time),
        )
        msg_id = derived("refused", ident, entry.seq)
        await self._bus.publish(subjects.DEAD_LETTER, letter, msg_id=msg_id, stream=subjects.MESH, consumer="learning")

    async def _integrate(self, ident: str) -> None:
        receipt = Integrated(lesson_id=ident)
        await self._bus.publish(subjects.INTEGRATED, receipt, msg_id=derived(ident, self._agent, "integrated"), agent=self._agent)

    def questions(self) -> Sequence[Question]:
        return [(subjects.ASK_LESSON, self._lesson), (subjects.ASK_LESSONS, self._list)]

    async def _lesson(self, ask: Ask) -> LessonView:
        if not await self._until(lambda: ask.id in self._lessons or ask.id in self._refused, KNOWN_WITHIN_S):
            raise not_found(f"no lesson {ask.id}")
        if reason := self._refused.get(ask.id):
            raise refusal(429, reason, code=RATE_LIMITED)
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
            if which.agent in (None, s.agent)
            and which.topic in (None, s.lesson.topic)
            and not (which.missing_from and rules.holds(s, which.missing_from))
        )
        found, before = paging.page(newest_first, which.before, which.limit)
        return LessonPage(lessons=[self._view(s) for s in found], next_before=before)

    def _view(self, state: rules.LessonState) -> LessonView:
        return rules.view(state, self._members.known("lessons"))


def _bound(kept: dict[str, Any], len_max: int) -> None:
    """Forget the oldest entry of a dictionary that has grown past its limit by one."""
    if len(kept) > len_max:
        del kept[next(iter(kept))]
