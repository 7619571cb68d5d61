"""Semantic memory: concepts, each with the episodes it rests on. They are told here, and read as they are or as they were."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec

from bus import subjects
from bus.connection import Bus, Stored
from bus.errors import Unavailable, not_found
from bus.ids import uuid7
from memory.arrivals import Arrivals
from memory.cursor import read_cursor, write_cursor
from memory.database import Database, statement
from memory.episode_row import storable
from memory.episodes import get_episodes
from schemas.concepts import (
    ConceptById,
    ConceptFilter,
    ConceptFormed,
    ConceptPage,
    ConceptRequest,
    ConceptView,
    ConceptWithSources,
    Statement,
)
from schemas.entry import Entry
from schemas.memory import Await, Uuid
from schemas.words import rfc3339

CONCEPT_AGENT: Final = "mesh"
"""Whose a concept is."""
PERSISTED_S_MAX: Final = 2.0
"""Longest wait for PostgreSQL before a concept that is on the log is acknowledged, in seconds."""
SEQ_MAX: Final = 2**63 - 1  # of a bigint

GET: Final = statement("get_concepts")
LIST: Final = statement("list_concepts")

AsOf = datetime | int | None
"""A time, a place in the log, or now."""


async def tell_concept(bus: Bus, database: Database, arrivals: Arrivals, asked: ConceptRequest) -> ConceptView:
    """Put a concept on the log, and answer when it is persisted, or after a while: it is safe then. Raises `Unavailable`, `TooLarge`."""
    concept_id, body = uuid7(), msgspec.convert(storable(msgspec.to_builtins(asked)), ConceptFormed)
    stored = await bus.publish(subjects.CONCEPT, body, concept=concept_id)
    try:
        await arrivals.wait(Await(id=stored.event_id, timeout_s=PERSISTED_S_MAX))
        found = await concepts_at(database, [concept_id])
    except Unavailable:
        found = []
    return concept_view(found[0]) if found else await _told(bus, stored, concept_id, body)


async def _told(bus: Bus, stored: Stored, concept_id: str, body: ConceptFormed) -> ConceptView:
    """The view of what stands in the log; made of the entry, so that PostgreSQL is not needed for it."""
    entry = await bus.entry_at(stored.seq)
    at = rfc3339(entry.time) if isinstance(entry, Entry) else ""
    return ConceptView(
        concept_id=concept_id,
        concept=body.concept,
        content=body.content,
        knowledge_type=body.knowledge_type,
        confidence_score=body.confidence_score,
        source_episodes=body.source_episodes,
        created_at=at,
        updated_at=at,
    )


async def get_concept(database: Database, asked: ConceptById) -> ConceptWithSources:
    """A concept with its source episodes in full (those that are known here). Raises a 404, `Unavailable`."""
    records = await concepts_at(database, [asked.id], asked.as_of)
    if not records:
        raise not_found(f"no concept {asked.id}" + ("" if asked.as_of is None else " then"))
    view = concept_view(records[0])
    sources = await get_episodes(database, view.source_episodes)
    fields = {field: getattr(view, field) for field in view.__struct_fields__}
    return ConceptWithSources(**fields, statements=statements_of(records[0]), sources=sources)


async def concepts_at(database: Database, ids: Sequence[str], as_of: AsOf = None) -> list[asyncpg.Record]:
    """Those of these concepts that there are, or were at a time or a place in the log. Raises `Unavailable`."""
    keys = [key for key in map(_uuid, ids) if key is not None]
    if not keys:
        return []
    time = as_of if isinstance(as_of, datetime) else None
    seq = min(as_of, SEQ_MAX) if isinstance(as_of, int) else None
    return await database.rows(GET, keys, time, seq)


async def list_concepts(database: Database, asked: ConceptFilter) -> ConceptPage:
    """A page of concepts, newest first. Raises a 400 for a bad cursor, `Unavailable`."""
    moment, ident = read_cursor(asked.before, Uuid) if asked.before is not None else (None, None)
    query = None if asked.query is None else storable(asked.query)
    records = await database.rows(LIST, query, asked.knowledge_type, asked.confidence_min, moment, _uuid(ident), asked.limit + 1)
    shown = records[: asked.limit]
    more = len(records) > asked.limit
    return ConceptPage(
        concepts=[concept_view(r) for r in shown],
        next_before=write_cursor(shown[-1]["created_at"], shown[-1]["id"]) if more else None,
    )


def concept_view(record: asyncpg.Record) -> ConceptView:
    """A row as callers see it."""
    return ConceptView(
        concept_id=record["id"],
        concept=record["concept"],
        content=record["content"],
        knowledge_type=record["knowledge_type"],
        confidence_score=record["confidence_score"],
        source_episodes=record["source_episodes"],
        contradicts=record["contradicts"],
        origin=record["origin"],
        version=record["version"],
        created_at=rfc3339(record["created_at"]),
        updated_at=rfc3339(record["updated_at"]),
    )


def statements_of(record: asyncpg.Record) -> list[Statement]:
    """Both sides of what a concept's sources contradict each other in."""
    found: list[Statement] = msgspec.json.decode(record["statements"], type=list[Statement])
    return found


def _uuid(ident: Any) -> uuid.UUID | None:
    """A concept's id; None for what cannot be one, and is therefore unknown."""
    try:
        return uuid.UUID(ident) if ident is not None else None
    except ValueError:
        return None
