"""The projection of concepts: an entry that forms one writes its version, ends the one before, and frees its sources.

`semantic_memory` holds each concept as it is, `concept_versions` every version of it, and the passages of a version are
searched until the next one stands in the log. What is said to be remembered waits for consolidation from here on.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from bus import subjects
from memory.concepts import CONCEPT_AGENT
from memory.consolidation.likeness import key_terms
from memory.database import Connection, Database, statement
from memory.episode_row import URGENT, EpisodeRow, storable
from memory.passages import Passage, in_parts, insert_passages

FORM: Final = statement("form_concepts")
QUEUE: Final = statement("queue_unconsolidated")
MARK: Final = statement("mark_consolidated")

CONCEPT_TERMS_MAX: Final = 32
"""Most terms by which a consolidation finds a concept."""
SOURCES: Final = frozenset({subjects.EPISODE.name, subjects.LESSON.name})
"""What is consolidated: what somebody meant to be remembered. What the protocols wrote says itself already."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `concept_versions`; lists are JSON text already. Its fields are the parameters of `form_concepts`."""

    id: str
    seq: int
    at: datetime
    event_id: str
    concept: str
    content: str
    knowledge_type: str
    confidence_score: float
    origin: str
    run: str | None
    source_episodes: str
    consolidated: str
    contradicts: str
    statements: str
    key_terms: str


class Concepts:
    """See `memory.fold.Projection`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, connection: Connection, fresh: Sequence[EpisodeRow]) -> None:
        """Queue what can be consolidated, and write each version of a concept."""
        waiting = [row.episode_id for row in fresh if row.entry.name in SOURCES and row.content]
        if waiting:
            await self._database.run(connection, QUEUE, waiting)
        for rows in once_each([row for row in fresh if row.entry.name == subjects.CONCEPT.name]):
            await self._form(connection, rows)

    async def _form(self, connection: Connection, rows: Sequence[EpisodeRow]) -> None:
        bodies = [storable(msgspec.to_builtins(row.entry.body)) for row in rows]
        versions = [_version(row, body) for row, body in zip(rows, bodies, strict=True)]
        await self._database.run(connection, FORM, *([getattr(v, f) for v in versions] for f in Version.__struct_fields__))
        await insert_passages(self._database, connection, [p for version in versions for p in in_parts(concept_passage(version))])
        held = [(ident, row.stream_seq) for row, body in zip(rows, bodies, strict=True) for ident in body["consolidated"]]
        if held:
            await self._database.run(connection, MARK, [ident for ident, _ in held], [seq for _, seq in held])


def once_each(rows: Sequence[EpisodeRow]) -> list[list[EpisodeRow]]:
    """`rows` in order, cut wherever a concept comes again: then the version before it is written first."""
    portions: list[list[EpisodeRow]] = []
    seen: set[str] = set()
    for row in rows:
        ident = row.entry.tokens["concept"].replace("-", "").lower()
        if not portions or ident in seen:
            portions.append([])
            seen = set()
        portions[-1].append(row)
        seen.add(ident)
    return portions


def _version(row: EpisodeRow, body: dict[str, Any]) -> Version:
    return Version(
        id=row.entry.tokens["concept"],
        seq=row.stream_seq,
        at=row.recorded_at,
        event_id=row.episode_id,
        concept=body["concept"],
        content=body["content"],
        knowledge_type=body["knowledge_type"],
        confidence_score=body["confidence_score"],
        origin=body["origin"],
        run=body["run"],
        source_episodes=_json(body["source_episodes"]),
        consolidated=_json(body["consolidated"]),
        contradicts=_json(body["contradicts"]),
        statements=_json(body["statements"]),
        key_terms=_json(key_terms(f"{body['concept']}\n{body['content']}", CONCEPT_TERMS_MAX)),
    )


def concept_passage(version: Version) -> Passage:
    """What is searched of a version of a concept. Nobody's own: a search by agent does not find it."""
    return Passage(
        kind="concept",
        owner=str(uuid.UUID(version.id)),
        part=0,
        content=f"{version.concept}: {version.content}",
        labels=version.knowledge_type,
        agent_id=CONCEPT_AGENT,
        session_id=None,
        timestamp=version.at,
        importance_score=version.confidence_score,
        tags="[]",
        stream_seq=version.seq,
        recorded_at=version.at,
        urgency=URGENT,
    )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
