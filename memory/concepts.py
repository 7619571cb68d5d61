"""Semantic memory: concepts, each with the episodes it rests on."""

import uuid
from typing import Final

import asyncpg

from bus.errors import not_found
from bus.ids import uuid7
from memory.cursor import read_cursor, write_cursor
from memory.database import Database, statement
from memory.episode_row import URGENT, storable
from memory.episodes import get_episodes
from memory.passages import Passage, insert_passages
from memory.positions import CONCEPTS, PERSISTER, advance
from schemas.concepts import ConceptFilter, ConceptPage, ConceptRequest, ConceptView, ConceptWithSources
from schemas.memory import Uuid
from schemas.words import rfc3339

CONCEPT_AGENT: Final = "mesh"
"""Whose a concept is."""

PUT: Final = statement("put_concept")
GET: Final = statement("get_concept")
LIST: Final = statement("list_concepts")


async def put_concept(database: Database, asked: ConceptRequest) -> ConceptView:
    """Learn a concept. Raises `Unavailable`."""
    values = storable([uuid7(), asked.concept, asked.content, asked.knowledge_type, asked.confidence_score, asked.source_episodes])
    async with database.transaction() as connection:
        records = await database.run(connection, PUT, *values, PERSISTER)
        await insert_passages(database, connection, [concept_passage(records[0])])
        await advance(database, connection, CONCEPTS, 0, 1)
    return concept_view(records[0])


def concept_passage(record: asyncpg.Record) -> Passage:
    """What is searched of a concept. Nobody's own: a search by agent does not find it."""
    return Passage(
        kind="concept",
        owner=record["id"],
        part=0,
        content=f"{record['concept']}: {record['content']}",
        labels=record["knowledge_type"],
        agent_id=CONCEPT_AGENT,
        session_id=None,
        timestamp=record["created_at"],
        importance_score=record["confidence_score"],
        tags="[]",
        stream_seq=record["log_position"],
        recorded_at=record["created_at"],
        urgency=URGENT,
    )


async def get_concept(database: Database, ident: str) -> ConceptWithSources:
    """A concept with its source episodes in full (those that are known here). Raises a 404, `Unavailable`."""
    key = _uuid(ident)
    record = await database.row(GET, key) if key else None
    if record is None:
        raise not_found(f"no concept {ident}")
    view = concept_view(record)
    sources = await get_episodes(database, view.source_episodes)
    fields = {field: getattr(view, field) for field in view.__struct_fields__}
    return ConceptWithSources(**fields, sources=sources)


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
        created_at=rfc3339(record["created_at"]),
    )


def _uuid(ident: str | None) -> uuid.UUID | None:
    """A concept's id; None for what cannot be one, and is therefore unknown."""
    try:
        return uuid.UUID(ident) if ident is not None else None
    except ValueError:
        return None
