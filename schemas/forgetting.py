"""Forgetting: what is erased, from where, and the receipt of it."""

from typing import Annotated

from msgspec import Meta

from schemas.words import Body, EventId, EventIds, Reply, Token

PLACES_MAX = 10_000
"""Most places in the log that one entry names."""

FORGOTTEN_CODE = "forgotten"
"""Code of the problem that says that something was there and has been forgotten."""


class ForgetRequest(Body, frozen=True, kw_only=True):
    """`memory.forget`, `POST /memory/forget`, `DELETE /memory/episodic/{id}`: exactly one of these says what is erased."""

    id: EventId | None = None
    agent_id: Token | None = None
    session_id: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    tag: Annotated[str, Meta(min_length=1, max_length=255)] | None = None


class Forgotten(Body, frozen=True, kw_only=True):
    """`memory.forgotten.<receipt>`: these events were erased from the log and from every projection. It names them and says
    nothing of what they said. A large forgetting has several such entries, side by side; the counts stand in its first.
    """

    ids: EventIds = []
    """Event ids of episodes and lessons, and of the entries that told the concepts below."""
    concepts: EventIds = []
    """Ids of concepts that rested on them alone and are erased as well."""
    rewritten: EventIds = []
    """Ids of concepts that rested on others too: all that was known of them before is erased, and they are told anew."""
    seqs: Annotated[list[Annotated[int, Meta(ge=1)]], Meta(max_length=PLACES_MAX)] = []
    """Places in the log, which are empty now."""
    selector: Annotated[str, Meta(max_length=64)] = ""
    """SHA-256 of what was asked for, in hexadecimal digits."""
    pieces: Annotated[int, Meta(ge=1)] = 1
    """How many entries this forgetting has."""
    episodes: int = 0
    lessons: int = 0
    working_items: int = 0
    dead_letters: int = 0
    complete: bool = True
    remains: EventIds = []


class ForgetReceipt(Reply, frozen=True, kw_only=True):
    """What was erased."""

    receipt: str
    episodes: int
    """Episodes, protocol events of the agent among them."""
    lessons: int
    concepts_erased: int
    concepts_rewritten: int
    """Concepts that rested on other sources too, and were told anew without what was erased."""
    working_items: int
    log_entries: int
    """Places in the log that are empty now."""
    dead_letters: int
    remains: list[str]
    """Event ids of what cites the erased and was kept, as votes and results of others (at most 1,000)."""
    complete: bool
    """False: there was more than one forgetting takes; ask again to go on."""
    scrubbed: bool
    """Whether the bytes are gone from the files of PostgreSQL too, not only from its tables."""
    forgotten_at: str
