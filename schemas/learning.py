"""Cross-learning: lessons, receipts, and how both are listed."""

from typing import Annotated

from msgspec import Meta

from schemas.words import Body, EventId, EventIds, PageSize, Reply, Tags, Text, Title, Token, Unit

LESSON_WAIT_S_MAX = 60.0
"""Longest a caller may wait for receipts."""


class Lesson(Body, frozen=True, kw_only=True):
    """`mesh.learning.<agent>`: knowledge that one agent broadcasts for all others to keep."""

    topic: Title
    content: Annotated[Text, Meta(min_length=1)]
    domain: Title | None = None
    confidence: Unit = 0.8
    tags: Tags = []
    source_episodes: EventIds = []


class Integrated(Body, frozen=True, kw_only=True):
    """`mesh.learning.<agent>.integrated`: this agent has made the lesson its own, for good."""

    lesson_id: EventId


class LessonsRefused(Body, frozen=True, kw_only=True):
    """`mesh.learning.<agent>.refused`: the mesh has not taken these lessons of the agent; each is a dead letter with the reason."""

    lesson_ids: Annotated[EventIds, Meta(min_length=1)]
    reason: Text


class LessonRequest(Lesson, frozen=True, kw_only=True):
    """`POST /neural-mesh/cross-learning`."""

    agent: Token
    wait_s: Annotated[float, Meta(ge=0, le=LESSON_WAIT_S_MAX)] = 2.0


class LessonReceipt(Reply, frozen=True, kw_only=True):
    """What is known of a lesson's way: stored on the log, for whom, and who has integrated it."""

    lesson_id: str
    stored: bool
    stream_seq: int
    recipients: list[str]
    integrated_by: list[str]


class LessonView(LessonReceipt, frozen=True, kw_only=True):
    """A lesson with its receipts."""

    agent: str
    topic: str
    content: str
    domain: str | None
    confidence: float
    tags: list[str]
    source_episodes: list[str]
    published_at: str


class LessonFilter(Body, frozen=True, kw_only=True):
    """`ask.lessons`, `GET /neural-mesh/cross-learning`. `missing_from`: those which this agent has not made its own yet."""

    agent: Token | None = None
    topic: Title | None = None
    missing_from: Token | None = None
    limit: PageSize = 50
    before: str | None = None


class LessonPage(Reply, frozen=True, kw_only=True):
    lessons: list[LessonView]
    next_before: str | None
