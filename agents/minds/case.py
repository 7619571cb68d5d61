"""A case: everything a mind is given to judge a proposal. What is not in it was not known, and no mind asks for more."""

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from schemas.consensus import Opened, ProposalStatus
from schemas.learning import Lesson
from schemas.memory import EpisodeView, SearchHit

Outcome = Literal["success", "failure"]


class KnownLesson(Protocol):
    """A lesson this agent has made its own, and how much it is about the case (0…1)."""

    @property
    def lesson_id(self) -> str: ...
    @property
    def lesson(self) -> Lesson: ...
    @property
    def similarity(self) -> float: ...


class Precedent(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier proposal like this one, how it ended, and what came of it where that is known."""

    proposal_id: str
    title: str
    status: ProposalStatus
    choice: str | None
    similarity: float
    description: str = ""
    outcome: Outcome | None = None


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal with what an agent recalls of it. `memory_complete` is False where memory did not answer;
    `missing_evidence` are ids the proposal names and nobody holds.
    """

    proposal_id: str
    proposal: Opened
    evidence: Sequence[EpisodeView] = ()
    missing_evidence: Sequence[str] = ()
    similar: Sequence[SearchHit] = ()
    lessons: Sequence[KnownLesson] = ()
    precedents: Sequence[Precedent] = ()
    memory_complete: bool = True
    approval_confidence_min: float = 0.5

    @property
    def memories(self) -> list[str]:
        """The ids of all that is remembered and before the mind, whether it makes a reason of it or not."""
        cited = (e.episode_id for e in self.evidence)
        return list(dict.fromkeys((*cited, *(h.id for h in self.similar), *(k.lesson_id for k in self.lessons))))

    @property
    def text(self) -> str:
        """What the proposal is about, in its own words."""
        return f"{self.proposal.title}. {self.proposal.description}"
