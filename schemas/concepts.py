"""Semantic memory: concepts, how they are told, formed by consolidation, listed and shown."""

from typing import Annotated, Literal

from msgspec import Meta

from schemas.memory import QUERY_LEN_MAX, EpisodeView
from schemas.words import Body, EventIds, PageSize, Reply, Text, Time, Title, Token, Unit

Origin = Literal["told", "consolidated"]


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


class ConceptView(Reply, frozen=True, kw_only=True):
    concept_id: str
    concept: str
    content: str
    knowledge_type: str
    confidence_score: float
    source_episodes: list[str]
    created_at: str


class ConceptWithSources(ConceptView, frozen=True, kw_only=True):
    """A concept with its source episodes in full."""

    sources: list[EpisodeView]


class ConceptPage(Reply, frozen=True, kw_only=True):
    concepts: list[ConceptView]
    next_before: str | None


class ConceptFormed(Body, frozen=True, kw_only=True):
    """`memory.concept.<concept>`: the concept as it is known from here on; a later entry of the same concept takes its place.

    `contradicts` are the concepts or episodes whose statements this one contradicts. `consolidated` are the episodes that need no
    longer be looked at because this concept holds what they say. `run` is the consolidation that formed it; None where somebody told it.
    """

    concept: Annotated[str, Meta(min_length=1, max_length=255)]
    content: Annotated[Text, Meta(min_length=1)]
    knowledge_type: Annotated[str, Meta(min_length=1, max_length=100)] = "general"
    confidence_score: Unit = 0.5
    source_episodes: EventIds = []
    contradicts: EventIds = []
    origin: Origin = "told"
    consolidated: EventIds = []
    run: str | None = None


class ConsolidateRequest(Body, frozen=True, kw_only=True):
    """`memory.consolidate`, `POST /memory/consolidate`: consolidate what has not been yet, of one agent, from a time on, or all."""

    agent_id: Token | None = None
    since: Time | None = None


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
    """Whether nothing unconsolidated is left of what was asked for; False: ask again to go on."""
    took_ms: float
