"""Settings of the memory actor: every limit it has, with its unit."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bus.secret import Secret

Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]


class MemorySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the memory actor keeps what it knows, and how much it does at a time."""

    postgres_dsn: str = "postgresql://127.0.0.1:5432/cerebro"
    """PostgreSQL with pgvector; the truth of all memory but the log."""
    redis_url: str = "redis://127.0.0.1:6379/0"
    """Redis; a cache, losing it loses no answer. Meshes that share one need different bus prefixes or database numbers."""
    embedding: Literal["minilm", "openai", "none"] = "minilm"
    """What turns text into vectors: MiniLM in this process (384 dimensions), an OpenAI-compatible endpoint, or nothing (search by
    text only). See docs/embedding.md.
    """
    embedding_url: Annotated[str, Meta(pattern=r"^https?://[^/\s]+")] = "https://api.openai.com/v1"
    """The endpoint: what stands before `/embeddings`."""
    embedding_model: Annotated[str, Meta(min_length=1)] = "text-embedding-3-small"
    """The endpoint's model, as it is named in each request; recorded in the database with the vectors."""
    embedding_dimensions: Annotated[int, Meta(ge=1, le=4_000)] = 1_536
    """How many dimensions the vectors of that model have. 4,000 is the most that the index takes."""
    embedding_dimensions_sent: bool = False
    """Ask the endpoint for that many; only for models that can shorten their vectors."""
    embedding_api_key: Secret = Secret()
    """Sent as `Authorization: Bearer …`. Empty: no such header."""
    embedding_request_len_max: Annotated[int, Meta(ge=1, le=2_048)] = 64
    """Most texts in one request to the endpoint."""
    embedding_requests_max: Annotated[int, Meta(ge=1, le=64)] = 4
    """Most requests to the endpoint at a time; where it is more than one, one of them is kept free for questions."""
    embedding_text_len_max: Count = 8_000
    """Most characters of a text that are sent; of a longer one the beginning counts."""
    embedding_timeout_s: Positive = 60.0
    """Longest wait for the endpoint's answer to one request."""
    embedding_question_timeout_s: Positive = 3.0
    """Longest wait for the vector of a question; then the search goes on by text."""
    embedding_tries_max: Count = 5
    """How often one request is tried before the queue pauses; it is never given up."""
    embedding_backoff_s_max: Positive = 30.0
    """Longest pause between two tries; the first is half a second, each further one twice as long."""

    pool_size_min: Count = 5
    """Connections to PostgreSQL that are always open."""
    pool_size_max: Count = 20
    """Most connections to PostgreSQL."""
    connection_idle_s_max: Positive = 300.0
    """An idle connection beyond `pool_size_min` is closed after this."""
    statement_timeout_s: Positive = 10.0
    """Longest time of one SQL statement; also of the wait for a free connection, and of the silence within a transaction after which
    PostgreSQL takes its client for lost and undoes it.
    """
    reconnect_pause_s: Positive = 0.5
    """Pause between two tries to reach PostgreSQL."""

    batch_len_max: Annotated[int, Meta(ge=1, le=1_000)] = 500
    """Most entries of the log that are committed in one transaction."""
    batch_bytes_max: Count = 16 * 1024 * 1024
    """Most bytes of rows in one transaction; one larger row goes alone."""
    gather_s_max: Annotated[float, Meta(ge=0, le=1)] = 0.1
    """How soon after the beginning of one transaction the next one begins while only a few entries are there, so that it takes more of
    them. Whoever waits for an entry ends the pause; what comes after a quiet time is committed at once.
    """

    embed_batch_len_max: Count = 16
    """Most texts that are embedded at a time; small, so that a question does not wait long behind them."""
    embed_every_s: Positive = 5.0
    """How often the queue of unembedded rows is looked at when nothing was announced."""

    redis_timeout_s: Positive = 0.25
    """Longest wait for one answer of Redis; then it counts as away."""
    redis_retry_s: Positive = 1.0
    """How often an absent Redis is tried again; meanwhile no request waits for it."""
    search_cache_ttl_s: Positive = 1_800.0
    """How long an answer to a search is kept. It is never stale: its key holds the state of the database."""
    search_l1_bytes_max: Annotated[int, Meta(ge=0)] = 100 * 1024 * 1024
    """Most bytes of answers to searches kept in this process, in front of Redis; the least recently used go first."""
    search_l1_ttl_s: Positive = 60.0
    """How long an answer to a search is kept in this process."""
    sweep_every_s: Positive = 30.0
    """How often expired working memory is deleted; expired items are invisible at once."""
    sweep_len_max: Count = 1_000
    """Most expired items deleted by one statement."""

    consolidate_every_s: Positive = 600.0
    """How often the consolidation looks whether enough waits for it."""
    consolidate_len_min: Count = 10
    """Fewest new episodes for which the schedule starts a run; a request starts one for any."""
    consolidate_len_max: Count = 10_000
    """Most new episodes that one run looks at; its report says whether any are left."""
    consolidate_s_max: Positive = 40.0
    """After this a run begins nothing new; its report says whether any are left."""
    consolidate_look_len_max: Annotated[int, Meta(ge=1, le=5_000)] = 1_000
    """Most new episodes that are in memory at a time."""
    consolidate_batch_len_max: Annotated[int, Meta(ge=1, le=100)] = 50
    """Most concepts that are put on the log in one atomic batch."""
    recalls_every_s: Positive = 5.0
    """How often what searches have recalled is written down."""

    await_recheck_s: Positive = 1.0
    """How often a waiting `memory.await` looks into the database itself, in case another process did the work."""
    awaiting_max: Count = 1_024
    """Most `memory.await` requests that wait at a time."""

    bm25_k1: Positive = 1.2
    """BM25: how soon more of the same term in a text counts no more. The usual value; 0.6 to 2 do as well."""
    bm25_b: Annotated[float, Meta(ge=0, le=1)] = 0.5
    """BM25: how much a text is held to its length, 0 … 1. Chats of short turns like 0.4, long answers 0.9."""
    text_terms_max: Count = 64
    """Most terms of a question that the text arm looks for, the first ones: each is read for itself."""

    forget_events_max: Annotated[int, Meta(ge=1, le=500_000)] = 100_000
    """Most events that one forgetting erases; its receipt says that there are more (`complete: false`)."""
    erase_every_s: Positive = 5.0
    """How often it is looked whether something forgotten is still to be erased, when nothing was announced."""
    scrub_bytes_max: Annotated[int, Meta(ge=0)] = 512 * 1024 * 1024
    """Up to this size of all tables they are written again when something was forgotten, so that no byte of it stays in PostgreSQL's
    files. Each is locked meanwhile. Beyond, deleted bytes stay in free space until they are overwritten (`scrubbed: false`). 512 MiB.
    """
    scrub_s_max: Positive = 600.0
    """Longest time to write one table again."""

    seal_every_s: Positive = 60.0
    """How often what was persisted is made part of the hash chain, and the chain's head is signed and put on the log."""
    seal_keys_dir: str = ""
    """Folder of the keys that sign; made where they are not there. Empty: the chain is kept, and not signed. `cerebro up` keeps them in
    `keys/seal` of its data folder.
    """

    fusion_text_weight: Annotated[float, Meta(ge=0)] = 1.0
    """Weight of the text arm's BM25 in a score."""
    fusion_vector_weight: Annotated[float, Meta(ge=0)] = 15.0
    """Weight of the vector arm's cosine in a score: what a cosine of 1 is worth in units of BM25. 10 to 20 do as well."""
    neighbour_weight: Annotated[float, Meta(ge=0)] = 0.4
    """What an episode gains by the score of one beside it in its session; half of it from one that is two places away. 0: nothing."""
    neighbour_reach: Annotated[int, Meta(ge=0, le=10)] = 2
    """How many places before and after itself an episode's score reaches."""
    neighbour_terms: Positive = 100.0
    """An episode of as many distinct terms gains half as much by its neighbours; a long text stands for itself."""
    neighbour_sources_max: Count = 200
    """Most hits whose neighbours are looked at, the best ones."""
    arm_len_min: Count = 200
    """About how many texts each arm hands to the fusion at least; twice the asked limit where that is more. 100 to 400 do as well."""
    arm_len_max: Count = 50_000
    """How deep in an arm pages can come, in texts; there they end."""
    exact_len_max: Count = 10_000
    """Up to this many candidate rows their vectors are compared one by one (exact); beyond, the index finds them."""
    vector_ef_search: Annotated[int, Meta(ge=1, le=1_000)] = 100
    """Size of the candidate list of the vector index (`hnsw.ef_search`)."""

    index_memory_bytes_max: Annotated[int, Meta(ge=64 * 1024 * 1024)] = 2 * 1024 * 1024 * 1024
    """Most memory that PostgreSQL takes to make the index of vectors anew, as after a restore: about 1.8 GB for a million vectors of 384
    dimensions. With less it takes many times longer. It is taken for that time only, and only as much as the vectors need. 2 GiB.
    """
    index_workers_max: Annotated[int, Meta(ge=0, le=64)] = 2
    """Most processes of PostgreSQL that help to make it. They need that memory as shared memory (`/dev/shm`); where it is not there, one
    process does it alone.
    """

    spread_damping: Annotated[float, Meta(ge=0, lt=1)] = 0.5
    """Share of a hit's score that goes on along each edge when a search spreads over the graph (HippoRAG's value)."""
    spread_rounds: Annotated[int, Meta(ge=1, le=100)] = 10
    """How many edges the score goes on along; after 10 of them a thousandth is left."""
    spread_hits_max: Count = 50
    """Most hits from which a search spreads, the best."""
    spread_edges_of_node_max: Count = 50
    """Most edges of one node over which a search spreads, the newest in each direction."""
    spread_edges_max: Count = 5_000
    """Most edges over which one search spreads."""

    continuity_importance_min: Annotated[float, Meta(ge=0, le=1)] = 0.6
    """From this importance on, an episode is told to an agent that goes on."""
    continuity_episodes_max: Annotated[int, Meta(ge=1, le=200)] = 20
    """Most important episodes that are told."""
    continuity_scanned_max: Count = 10_000
    """Among so many latest episodes of the agent the important ones are looked for."""
    continuity_tasks_max: Annotated[int, Meta(ge=1, le=1_000)] = 100
    """Most open tasks that are told, the oldest."""
    continuity_projects_max: Annotated[int, Meta(ge=1, le=1_000)] = 50
    """Most projects whose last handoff packet is told, the latest."""
