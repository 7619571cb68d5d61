"""Memory: actions that become episodes, working and semantic memory, search, and the questions about them."""

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from schemas.words import Body, EventId, PageSize, Reply, Tags, Time, Token, Unit, refuse_far_times

ACTIONS_MAX = 1_000
"""Most actions in one `POST /memory/actions`."""
QUERY_LEN_MAX = 4_000
"""Longest search query, in characters."""
WORKING_TTL_S_MAX = 30 * 86_400.0
"""Longest life of a working-memory item."""
IMPORTANCE_TENTHS = 10
"""Parts into which importance is divided where it is counted."""
WORKING_LONG_S = 86_400.0
"""Working memory that is kept longer than this from now is long-lived: more than most work takes."""

ActionType = Annotated[str, Meta(min_length=1, max_length=100)]
Uuid = Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
Key = Annotated[str, Meta(min_length=1, max_length=255)]
Kind = Literal["episode", "concept", "lesson"]
ALL_KINDS: tuple[Kind, ...] = ("episode", "concept", "lesson")


class Action(Body, frozen=True, kw_only=True):
    """`memory.episode.<agent>`: something an agent did or saw, to be remembered as an episode."""

    action_type: ActionType
    action_details: dict[str, Any] = field(default_factory=dict)
    context_state: dict[str, Any] | None = None
    importance_score: Unit = 0.5
    tags: Tags = []
    timestamp: Time | None = None
    cross_reference: Uuid | None = None
    project_dna_id: Uuid | None = None
    handoff_packet: dict[str, Any] | None = None
    session_id: Annotated[str, Meta(min_length=1, max_length=255)] | None = None

    def __post_init__(self) -> None:
        refuse_far_times(timestamp=self.timestamp)


class ActionRequest(Action, frozen=True, kw_only=True):
    """`POST /memory/action`, and one item of `POST /memory/actions`."""

    agent_id: Token = "gateway"
    episode_id: EventId | None = None


class StoredReceipt(Reply, frozen=True, kw_only=True):
    """What is known of an action's way: on the log (`stored`, at `stream_seq`), and committed in PostgreSQL (`persisted`)."""

    episode_id: str
    stored: bool
    stream_seq: int
    persisted: bool


class StoredReceipts(Reply, frozen=True, kw_only=True):
    items: list[StoredReceipt]


class Await(Body, frozen=True, kw_only=True):
    """`memory.await`: answer when the event is persisted (or searchable by vector too), at the latest after `timeout_s`."""

    id: EventId
    until: Literal["persisted", "searchable"] = "persisted"
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 5.0


class Awaited(Reply, frozen=True, kw_only=True):
    persisted: bool
    searchable: bool


class Changed(Body, frozen=True, kw_only=True):
    """`memory.changed.<agent>.<kind>`: something was committed."""

    id: str
    kind: Literal["episode", "concept", "lesson", "working"]
    stream_seq: int | None = None


class EpisodeView(Reply, frozen=True, kw_only=True):
    """One episode, all fields."""

    episode_id: str
    kind: str
    agent_id: str
    timestamp: str
    action_type: str
    action_details: dict[str, Any]
    context_state: dict[str, Any] | None
    importance_score: float
    tags: list[str]
    consolidated: bool
    cross_reference: str | None
    project_dna_id: str | None
    handoff_packet: dict[str, Any] | None
    session_id: str | None
    subject: str
    stream_seq: int
    recorded_at: str


class RecentFilter(Body, frozen=True, kw_only=True):
    """`memory.recent`, `GET /memory/episodic/recent`: newest first by timestamp; `before` is an opaque cursor."""

    agent_id: Token | None = None
    action_type: ActionType | None = None
    tag: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    importance_min: Unit | None = None
    since: Time | None = None
    until: Time | None = None
    limit: PageSize = 50
    before: Annotated[str, Meta(max_length=1_000)] | None = None

    def __post_init__(self) -> None:
        refuse_far_times(since=self.since, until=self.until)


class EpisodePage(Reply, frozen=True, kw_only=True):
    episodes: list[EpisodeView]
    next_before: str | None


class ById(Body, frozen=True, kw_only=True):
    """`memory.get`: one episode by id."""

    id: EventId


class SearchRequest(Body, frozen=True, kw_only=True):
    """`memory.search`, `POST /memory/search`. `as_of`: a time, or a log position (a number). `spread`: follow the graph from what
    was found. `before`: an opaque cursor, the `next_before` of the page before.
    """

    query: Annotated[str, Meta(min_length=1, max_length=QUERY_LEN_MAX)]
    mode: Literal["hybrid", "text", "vector"] = "hybrid"
    agent_id: Token | None = None
    kinds: Annotated[list[Kind], Meta(min_length=1, max_length=3)] = field(default_factory=lambda: list(ALL_KINDS))
    tags: Tags = []
    importance_min: Unit | None = None
    since: Time | None = None
    until: Time | None = None
    as_of: Time | Annotated[int, Meta(ge=0)] | None = None
    spread: bool = False
    limit: PageSize = 10
    before: Annotated[str, Meta(max_length=1_000)] | None = None

    def __post_init__(self) -> None:
        refuse_far_times(since=self.since, until=self.until, as_of=self.as_of)


class Ranks(Reply, frozen=True, kw_only=True):
    """Where a hit stood in each arm of the search (1 is best); null where that arm did not find it."""

    text: int | None
    vector: int | None


class Why(Reply, frozen=True, kw_only=True):
    """What the score of a hit is the sum of: its words, its meaning, what stands beside it in its session, the graph around it."""

    text: float = 0.0
    vector: float = 0.0
    neighbour: float = 0.0
    graph: float = 0.0


class SearchHit(Reply, frozen=True, kw_only=True):
    id: str
    kind: str
    agent_id: str
    timestamp: str
    action_type: str
    text: str
    action_details: dict[str, Any]
    tags: list[str]
    importance_score: float
    source_episodes: list[str]
    """What it rests on: a concept's or lesson's sources; an episode is its own."""
    score: float
    ranks: Ranks
    why: Why = Why()


class SearchResults(Reply, frozen=True, kw_only=True):
    results: list[SearchHit]
    next_before: str | None
    took_ms: float
    cached: bool
    degraded: str | None = None
    """Why this answer is less than was asked for; null where it is whole."""


class WorkingItem(Body, frozen=True, kw_only=True):
    """`PUT /memory/working/{session_id}/{key}`. `ttl_s`: seconds until it is forgotten."""

    context_data: dict[str, Any]
    agent_id: Token = "gateway"
    tags: Tags = []
    ttl_s: Annotated[float, Meta(gt=0, le=WORKING_TTL_S_MAX)] = 3600.0


class WorkingPut(WorkingItem, frozen=True, kw_only=True):
    """`memory.working.put`."""

    session_id: Key
    key: Key


class WorkingKey(Body, frozen=True, kw_only=True):
    """`memory.working.get`, `memory.working.delete`."""

    session_id: Key
    key: Key


class WorkingFilter(Body, frozen=True, kw_only=True):
    """`memory.working.list`, `GET /memory/working`."""

    session_id: Key | None = None
    agent_id: Token | None = None
    limit: PageSize = 200


class WorkingView(Reply, frozen=True, kw_only=True):
    session_id: str
    key: str
    agent_id: str
    context_data: dict[str, Any]
    tags: list[str]
    created_at: str
    expires_at: str


class WorkingList(Reply, frozen=True, kw_only=True):
    items: list[WorkingView]


class Deleted(Reply, frozen=True, kw_only=True):
    deleted: bool


class StatsRequest(Body, frozen=True, kw_only=True):
    """`memory.stats`. With `holdings` the answer has these too, of `agent_id` or of all: that reads every episode's row."""

    holdings: bool = False
    agent_id: Token | None = None


class PartHealth(Reply, frozen=True, kw_only=True):
    """One component: checked for real, just now. `latency_ms` of the check."""

    status: Literal["healthy", "degraded", "unhealthy"]
    latency_ms: float
    detail: str = ""


class QueryTimes(Reply, frozen=True, kw_only=True):
    """A histogram of durations, as of one SQL statement: `buckets` maps an upper bound in seconds to the count at or below it."""

    count: int
    sum_s: float
    buckets: dict[str, int]


class ModelCalls(Reply, frozen=True, kw_only=True):
    """Calls to a language model that an agent remembers, for one purpose and with one result. `cost` is in the currency of the prices
    in the settings.
    """

    agent_id: str
    purpose: str
    result: str
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0


class SourceHeld(Reply, frozen=True, kw_only=True):
    """What is held of one agent: how many episodes and lessons, how many that no concept holds yet, the times of the first and last."""

    agent_id: str
    episodes: int
    unconsolidated: int
    oldest: str
    newest: str


class Holdings(Reply, frozen=True, kw_only=True):
    """Episodes (lessons among them) in detail. `told` on purpose, in words, are those that can become concepts; `unconsolidated`
    are those of them that no concept holds yet, `waiting` those of these that the consolidation has not looked at. `importance`
    counts all by tenths of their importance, the least first; the sources are those with the most; working memory is `expired`
    but not yet swept, or `long_lived`: for more than a day from now.
    """

    episodes: int
    told: int
    unconsolidated: int
    waiting: int
    importance: list[int]
    sources: list[SourceHeld]
    working_expired: int
    working_long_lived: int


class MemoryStats(Reply, frozen=True, kw_only=True):
    """`memory.stats`: what the memory actor holds and how its parts are. `messages` counts what the log has brought it since it began,
    by the name of the message in the table of subjects, then by the agent in its subject; `model_calls` are among its episodes,
    and `model_call_times` how long they took, by purpose. `unpersisted` is how many places of the log it has still before it, null where
    that cannot be told.
    """

    episodes: int
    concepts: int
    lessons: int
    working: int
    persisted_seq: int
    unpersisted: int | None = None
    unembedded: int
    db_connections: int
    rss_bytes: int
    storage_bytes: dict[str, int]
    parts: dict[str, PartHealth]
    queries: dict[str, QueryTimes]
    messages: dict[str, dict[str, int]] = {}
    model_calls: list[ModelCalls] = []
    model_call_times: dict[str, QueryTimes] = {}
    holdings: Holdings | None = None
