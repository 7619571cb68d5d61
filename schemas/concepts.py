"""Semantic memory: concepts, how they are told, formed by consolidation, listed and shown."""

from typing import Annotated, Literal

from msgspec import Meta

from schemas.memory import QUERY_LEN_MAX, EpisodeView
from schemas.words import ID_LEN_MAX, Body, EventId, EventIds, PageSize, Reply, Text, Time, Title, Token, Unit, refuse_far_times

Origin = Literal["told", "consolidated"]
Stance = Literal["held", "against"]
STATEMENTS_MAX = 64
"""Most statements that a concept keeps of a contradiction, both sides together."""
STATEMENT_LEN_MAX = 1_000
"""Longest statement, in characters."""


class ConceptRequest(Body, frozen=True, kw_only=True):
    """`memory.semantic.put`, `POST /memory/semantic`."""

    concept: Annotated[str, Meta(min_length=1, max_length=255)]
    content: Annotated[Text, Meta(min_length=1)]
    knowledge_type: Annotated[str, Meta(min_length=1, max_length=100)] = "general"
    confidence_score: Unit = 0.5
    source_episodes: EventIds = []


class ConceptFilter(Body, frozen=True, kw_only=True):
    """`memory.semantic.list`, `GET /memory/semantic`."""

    query: Annotated[str, Meta(min_length=1, max_length=QUERY_LEN_MAX)] | None = None
    knowledge_type: Title | None = None
    confidence_min: Unit | None = None
    limit: PageSize = 50
    before: Annotated[str, Meta(max_length=1_000)] | None = None


class ConceptById(Body, frozen=True, kw_only=True):
    """`memory.semantic.get`, `GET /memory/semantic/{concept_id}`. `as_of`: as it was then, at a time or a log position."""

    id: EventId
    as_of: Time | Annotated[int, Meta(ge=0)] | None = None

    def __post_init__(self) -> None:
        refuse_far_times(as_of=self.as_of)


class Statement(Body, frozen=True, kw_only=True):
    """What one source says of something that others contradict. `held`: the concept goes by it; `against`: it does not."""

    about: Annotated[str, Meta(max_length=STATEMENT_LEN_MAX)]
    says: Annotated[str, Meta(max_length=STATEMENT_LEN_MAX)]
    text: Annotated[str, Meta(max_length=STATEMENT_LEN_MAX)]
    stance: Stance
    episode_id: EventId
    agent_id: str
    at: Time

    def __post_init__(self) -> None:
        refuse_far_times(at=self.at)


Statements = Annotated[list[Statement], Meta(max_length=STATEMENTS_MAX)]


class ConceptView(Reply, frozen=True, kw_only=True):
    """`contradicts`: the sources that say otherwise than the concept does; empty where all agree."""

    concept_id: str
    concept: str
    content: str
    knowledge_type: str
    confidence_score: float
    source_episodes: list[str]
    contradicts: list[str] = []
    origin: Origin = "told"
    version: int = 1
    created_at: str
    updated_at: str = ""


class ConceptWithSources(ConceptView, frozen=True, kw_only=True):
    """A concept with its source episodes in full, and both sides of what they contradict each other in."""

    statements: list[Statement] = []
    sources: list[EpisodeView]


class ConceptPage(Reply, frozen=True, kw_only=True):
    concepts: list[ConceptView]
    next_before: str | None


class ConceptFormed(Body, frozen=True, kw_only=True):
    """`memory.concept.<concept>`: the concept as it is known from here on; a later entry of the same concept takes its place.

    `consolidated` are the episodes that need no longer be looked at because this concept holds what they say. `contradicts` are
    the episodes (or concepts) among its sources that say otherwise than it does, `statements` both sides in words. `run` is the
    consolidation that formed it; None where somebody told it.
    """

    concept: Annotated[str, Meta(min_length=1, max_length=255)]
    content: Annotated[Text, Meta(min_length=1)]
    knowledge_type: Annotated[str, Meta(min_length=1, max_length=100)] = "general"
    confidence_score: Unit = 0.5
    source_episodes: EventIds = []
    origin: Origin = "told"
    consolidated: EventIds = []
    contradicts: EventIds = []
    statements: Statements = []
    run: Annotated[str, Meta(max_length=ID_LEN_MAX)] | None = None


class ConsolidateRequest(Body, frozen=True, kw_only=True):
    """`memory.consolidate`, `POST /memory/consolidate`: consolidate what has not been yet, of one agent, from a time on, or all."""

    agent_id: Token | None = None
    since: Time | None = None

    def __post_init__(self) -> None:
        refuse_far_times(since=self.since)


class ConsolidationReport(Reply, frozen=True, kw_only=True):
    """What one run of the consolidation did."""

    run: str
    examined: int
    """Episodes looked at."""
    formed: int
    """New concepts."""
    joined: int
    """Standing concepts that took in more episodes."""
    contradictions: int
    """Concepts that hold statements which contradict each other."""
    concepts: list[str]
    """Ids of the concepts formed or joined."""
    complete: bool
    """Whether all of what was asked for has been looked at; False: ask again to go on. What is like nothing else stays as it is."""
    took_ms: float
