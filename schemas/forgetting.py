"""Forgetting: what is erased, from where, and the receipt of it."""

from typing import Annotated

from msgspec import Meta

from schemas.words import Body, EventId, EventIds, Reply, Token


class ForgetRequest(Body, frozen=True, kw_only=True):
    """`memory.forget`, `POST /memory/forget`, `DELETE /memory/episodic/{id}`: exactly one of these says what is erased."""

    id: EventId | None = None
    agent_id: Token | None = None
    session_id: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    tag: Annotated[str, Meta(min_length=1, max_length=255)] | None = None


class Forgotten(Body, frozen=True, kw_only=True):
    """`memory.forgotten.<receipt>`: these events were erased from the log and from every projection. It names them and says
    nothing of what they said.
    """

    ids: EventIds = []
    """Event ids of episodes and lessons."""
    concepts: EventIds = []
    """Ids of concepts that rested on them alone and are erased as well."""
    seqs: Annotated[list[int], Meta(max_length=10_000)] = []
    """Their places in the log, which are empty now."""


class ForgetReceipt(Reply, frozen=True, kw_only=True):
    """What was erased. `remains`: entries of the log that cite what was erased and that were kept, as votes of ended proposals."""

    receipt: str
    episodes: int
    lessons: int
    concepts_erased: int
    concepts_rewritten: int
    working_items: int
    log_entries: int
    dead_letters: int
    remains: list[str]
    forgotten_at: str
