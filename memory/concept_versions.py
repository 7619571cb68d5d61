"""The projection of concepts: an entry that forms one writes its version, ends the one before, and frees its sources.

`semantic_memory` holds each concept as it is, `concept_versions` every version of it, and the passages of a version are
searched until the next one stands in the log. What is said to be remembered waits for consolidation from here on.
"""

import uuid
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from bus import subjects
from memory.concepts import CONCEPT_AGENT
from memory.consolidation.likeness import key_terms
from memory.database import Connection, Database, statement
from memory.episode_row import URGENT, EpisodeRow, storable
from memory.passages import Passage, insert_passages

FORM: Final = statement("form_concept")
END_PASSAGES: Final = statement("end_concept_passages")
QUEUE: Final = statement("queue_unconsolidated")
MARK: Final = statement("mark_consolidated")

CONCEPT_TERMS_MAX: Final = 32
"""Most terms by which a consolidation finds a concept."""
SOURCES: Final = frozenset({subjects.EPISODE.name, subjects.LESSON.name})
"""What is consolidated: what somebody meant to be remembered. What the protocols wrote says itself already."""


class Concepts:
    """See `memory.fold.Projection`. Entries are taken one by one, in order; there are few of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, connection: Connection, fresh: Sequence[EpisodeRow]) -> None:
        """Queue what can be consolidated, and write each version of a concept."""
        waiting = [row.episode_id for row in fresh if row.entry.name in SOURCES and row.content]
        if waiting:
            await self._database.run(connection, QUEUE, waiting)
        for row in fresh:
            if row.entry.name == subjects.CONCEPT.name:
                await self._form(connection, row)

    async def _form(self, connection: Connection, row: EpisodeRow) -> None:
        concept_id, body = row.entry.tokens["concept"], storable(msgspec.to_builtins(row.entry.body))
        await self._database.run(connection, FORM, *_version(row, concept_id, body))
        passage = concept_passage(row, concept_id, body)
        await self._database.run(connection, END_PASSAGES, passage.owner, row.stream_seq, row.recorded_at)
        await insert_passages(self._database, connection, [passage])
        if body["consolidated"]:
            await self._database.run(connection, MARK, body["consolidated"], row.stream_seq)


def _version(row: EpisodeRow, concept_id: str, body: dict[str, Any]) -> tuple[Any, ...]:
    """The parameters of `form_concept`."""
    return (
        concept_id,
        row.stream_seq,
        row.recorded_at,
        row.episode_id,
        body["concept"],
        body["content"],
        body["knowledge_type"],
        body["confidence_score"],
        body["source_episodes"],
        body["origin"],
        body["run"],
        body["contradicts"],
        msgspec.json.encode(body["statements"]).decode(),
        key_terms(f"{body['concept']}\n{body['content']}", CONCEPT_TERMS_MAX),
    )


def concept_passage(row: EpisodeRow, concept_id: str, body: dict[str, Any]) -> Passage:
    """What is searched of a version of a concept. Nobody's own: a search by agent does not find it."""
    return Passage(
        kind="concept",
        owner=str(uuid.UUID(concept_id)),
        part=0,
        content=f"{body['concept']}: {body['content']}",
        labels=body["knowledge_type"],
        agent_id=CONCEPT_AGENT,
        session_id=None,
        timestamp=row.recorded_at,
        importance_score=body["confidence_score"],
        tags="[]",
        stream_seq=row.stream_seq,
        recorded_at=row.recorded_at,
        urgency=URGENT,
    )
