"""What consolidation reads of PostgreSQL: sources that wait, such as are like them, standing concepts, and vectors."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec
import numpy as np

from memory.concepts import statements_of
from memory.consolidation.likeness import Profile
from memory.consolidation.source import Gathering, Source, Standing
from memory.database import Connection, Database, Statement, statement
from schemas.concepts import ConsolidateRequest

WAITING: Final = statement("next_unconsolidated")
ALONE: Final = statement("alone_like")
STANDING: Final = statement("standing_like")
CONCEPTS: Final = statement("standing_concepts")
BY_ID: Final = statement("consolidated_sources")
VECTORS: Final = statement("source_vectors")
USE_INDEXES: Final = statement("use_indexes")

SOURCE_LEN_MAX: Final = 4_000
"""Characters of a source that are looked at; what it is about is said by then."""
ALONE_MAX: Final = 1_000
"""Most sources looked at before that are looked at again beside new ones."""
ALONE_TERMS_MAX: Final = 4
"""Most terms of a new source by which those are found."""
STANDING_TERMS_MAX: Final = 5
"""Most terms of a new source by which standing concepts are found."""
STANDINGS_MAX: Final = 500
"""Most standing concepts that are loaded for one look."""
COMPARED_SOURCES_MAX: Final = 8
"""Sources of a standing concept that new ones are compared with."""
TOLD_SOURCES_MAX: Final = 40
"""Sources of a standing concept that its next version is written from."""


class Reading:
    """Reads on the connection of the run. Every method raises what the database does."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self._database = database
        self._connection = connection

    async def waiting(self, asked: ConsolidateRequest, now: datetime, len_max: int) -> list[Source]:
        """What has not been looked at, the most important that is left of it first; then by its place in the log."""
        rows = await self._run(WAITING, asked.agent_id, asked.since, now, SOURCE_LEN_MAX, len_max)
        return await self._with_vectors([source(row, is_new=True) for row in rows])

    async def alone(self, asked: ConsolidateRequest, new: Sequence[Profile]) -> list[Source]:
        """What was looked at and was like nothing, and shares terms with what is new."""
        terms = sorted({term for profile in new for term in profile.key_terms[:ALONE_TERMS_MAX]})
        rows = await self._by_terms(ALONE, terms, asked.agent_id, asked.since, SOURCE_LEN_MAX, ALONE_MAX)
        return await self._with_vectors([source(row, is_new=False) for row in rows])

    async def standings(self, found_by: Sequence[Profile]) -> list[Standing]:
        """The concepts that share the most terms with any of these sources, with a few of their sources."""
        pairs = [(i, term) for i, profile in enumerate(found_by) for term in profile.key_terms[:STANDING_TERMS_MAX]]
        rows = await self._by_terms(STANDING, [i for i, _ in pairs], [term for _, term in pairs], STANDINGS_MAX)
        return await self._standings([row["id"] for row in rows], COMPARED_SOURCES_MAX)

    async def whole(self, gatherings: Sequence[Gathering]) -> list[Gathering]:
        """These with as many sources of their standing concepts as the next version is written from; without those whose concept
        has been forgotten meanwhile.
        """
        joined = [g.standing.id for g in gatherings if g.standing]
        standings = {s.id: s for s in await self._standings(joined, TOLD_SOURCES_MAX)}
        there = [g for g in gatherings if g.standing is None or g.standing.id in standings]
        return [msgspec.structs.replace(g, standing=standings[g.standing.id]) if g.standing else g for g in there]

    async def standing(self, concept_id: str) -> Standing | None:
        """One concept with as many of its sources as a version is written from; None where there is no such concept."""
        found = await self._standings([concept_id], TOLD_SOURCES_MAX)
        return found[0] if found else None

    async def _standings(self, ids: Sequence[str], sources_max: int) -> list[Standing]:
        """These concepts, each with up to so many of its sources."""
        concepts = await self._run(CONCEPTS, ids) if ids else []
        wanted = {row["id"]: quoted_first(row, sources_max) for row in concepts}
        found = {s.id: s for s in await self._sources({ident for some in wanted.values() for ident in some})}
        return [standing(row, [found[ident] for ident in wanted[row["id"]] if ident in found]) for row in concepts]

    async def _sources(self, ids: Iterable[str]) -> list[Source]:
        asked = sorted(ids)
        rows = await self._run(BY_ID, asked, SOURCE_LEN_MAX) if asked else []
        return await self._with_vectors([source(row, is_new=False) for row in rows])

    async def _with_vectors(self, sources: Sequence[Source]) -> list[Source]:
        rows = await self._run(VECTORS, [s.id for s in sources]) if sources else []
        vectors = {row["episode_id"]: unit(row["embedding"].to_numpy()) for row in rows}
        return [msgspec.structs.replace(s, vector=vectors.get(s.id)) for s in sources]

    async def _by_terms(self, asked: Statement, *values: Any) -> list[asyncpg.Record]:
        async with self._connection.transaction():
            await self._run(USE_INDEXES)
            return await self._run(asked, *values)

    async def _run(self, asked: Statement, *values: Any) -> list[asyncpg.Record]:
        return await self._database.run(self._connection, asked, *values)


def source(row: asyncpg.Record, *, is_new: bool) -> Source:
    """A row as consolidation looks at it."""
    return Source(
        id=row["episode_id"],
        agent=row["agent_id"],
        text=row["text"],
        at=row["timestamp"],
        action_type=row["action_type"],
        session=row["session_id"],
        outcome=row["outcome"] or "",
        links=tuple(row["links"]),
        is_new=is_new,
    )


def standing(row: asyncpg.Record, sources: Sequence[Source]) -> Standing:
    """A standing concept with some of its sources."""
    return Standing(
        id=row["id"],
        version=row["version"],
        concept=row["concept"],
        content=row["content"],
        knowledge_type=row["knowledge_type"],
        origin=row["origin"],
        source_ids=tuple(row["source_episodes"]),
        sources=tuple(sources),
        statements=tuple(statements_of(row)),
        told=row["told"],
        told_confidence=row["told_confidence"],
    )


def quoted_first(row: asyncpg.Record, len_max: int) -> list[str]:
    """Sources of a concept to be loaded: those whose statements it keeps, then the latest."""
    quoted = [s.episode_id for s in statements_of(row)]
    return list(dict.fromkeys((*quoted, *reversed(row["source_episodes"]))))[:len_max]


def unit(vector: Any) -> Any:
    """A vector of length 1, single precision."""
    single = vector.astype(np.float32)
    return single / (float(np.linalg.norm(single)) or 1.0)
