"""The guard: what was forgotten is not remembered again, however late it comes: redelivered, or published again under its id."""

from collections.abc import Sequence
from typing import Final

from memory.database import Connection, Database, statement
from memory.episode_row import EpisodeRow
from memory.forgetting.hashes import id_hash
from schemas.concepts import ConceptFormed

AMONG: Final = statement("forgotten_among")
LATE: Final = statement("put_late_places")
COPIES: Final = statement("put_log_copies")


async def remembered(database: Database, connection: Connection, rows: Sequence[EpisodeRow]) -> Sequence[EpisodeRow]:
    """`rows` without those that were forgotten, whose places in the log are noted to be erased, in the caller's transaction."""
    known = {ident: id_hash(ident) for row in rows for ident in identities(row)}
    gone = {record["id_hash"] for record in await database.run(connection, AMONG, list(known.values()))}
    if not gone:
        return rows
    late = {row.stream_seq for row in rows if any(known[ident] in gone for ident in identities(row))}
    await database.run(connection, LATE, list(late))
    return [row for row in rows if row.stream_seq not in late]


async def was_forgotten(database: Database, ident: str) -> bool:
    """Whether this id was known and has been forgotten."""
    return bool(await database.rows(AMONG, [id_hash(ident)]))


async def note_copies(database: Database, connection: Connection, again: Sequence[EpisodeRow]) -> None:
    """Note where the log holds events once more that were known already, so that forgetting finds each place."""
    await database.run(connection, COPIES, [row.stream_seq for row in again], [row.episode_id for row in again])


def identities(row: EpisodeRow) -> list[str]:
    """The ids under which a row may have been forgotten: its own, and those of a concept that it tells.

    A concept that was consolidated out of forgotten episodes while they were being forgotten is forgotten with them.
    """
    body = row.entry.body
    if not isinstance(body, ConceptFormed):
        return [row.episode_id]
    sources = body.source_episodes if body.origin == "consolidated" else []
    return [row.episode_id, row.entry.tokens["concept"], *sources]
