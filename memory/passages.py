"""Passages: what is searched and embedded. Each episode, lesson and version of a concept is one, or several if its text is long."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec

from memory.chunks import chunks
from memory.database import Connection, Database, statement
from memory.episode_row import EpisodeRow

INSERT: Final = statement("insert_passages")

PASSAGE_LEN_MAX: Final = 1_000
"""Longest passage in characters: about the 256 tokens that MiniLM reads. A constant, for it decides which rows the log becomes."""


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `passages`, and when it gets its vector (None: never); tags are JSON text already."""

    kind: Literal["episode", "lesson", "concept"]
    owner: str
    part: int
    content: str
    labels: str
    agent_id: str
    session_id: str | None
    timestamp: datetime
    importance_score: float
    tags: str
    stream_seq: int
    recorded_at: datetime
    urgency: int | None


COLUMNS: Final = Passage.__struct_fields__
"""The order of the parameters of `insert_passages`."""


def passages_of(row: EpisodeRow) -> list[Passage]:
    """The passages of an episode or lesson."""
    return in_parts(
        Passage(
            kind=row.kind,
            owner=row.episode_id,
            part=0,
            content=row.content,
            labels=row.labels,
            agent_id=row.agent_id,
            session_id=row.session_id,
            timestamp=row.timestamp,
            importance_score=row.importance_score,
            tags=row.tags,
            stream_seq=row.stream_seq,
            recorded_at=row.recorded_at,
            urgency=row.urgency,
        )
    )


def in_parts(whole: Passage) -> list[Passage]:
    """A passage in as many as its content needs. The labels stand with the first: one place is enough to be found by."""
    first, *others = chunks(whole.content, PASSAGE_LEN_MAX)
    if first == whole.content:
        return [whole]
    replace = msgspec.structs.replace
    return [replace(whole, content=first), *(replace(whole, part=n, content=c, labels="") for n, c in enumerate(others, 1))]


async def insert_passages(database: Database, connection: Connection, passages: Sequence[Passage]) -> None:
    """Put passages in, which are new, and queue those that get a vector. Part of the caller's transaction."""
    await database.run(connection, INSERT, *([getattr(p, column) for p in passages] for column in COLUMNS))


class Passages:
    """The projection that makes episodes and lessons searchable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, connection: Connection, fresh: Sequence[EpisodeRow]) -> None:
        """See `memory.fold.Projection`."""
        await insert_passages(self._database, connection, [p for row in fresh for p in passages_of(row)])
