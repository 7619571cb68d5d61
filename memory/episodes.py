"""Episodes in PostgreSQL: put in by the batch, read by id and by time."""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import msgspec

from memory.cursor import RowId, read_cursor, write_cursor
from memory.database import Connection, Database, statement
from memory.episode_row import EpisodeRow
from schemas.memory import EpisodePage, EpisodeView, RecentFilter
from schemas.words import rfc3339

INSERT: Final = statement("insert_episodes")
KNOWN: Final = statement("known_contents")
RECENT: Final = statement("recent_episodes")
GET: Final = statement("get_episodes")
STATES: Final = statement("episode_states")

COLUMNS: Final = tuple(field for field in EpisodeRow.__struct_fields__ if field not in {"entry", "labels", "urgency"})
"""The order of the parameters of `insert_episodes`; the other fields are for projections."""


class Known(msgspec.Struct, frozen=True):
    """What the database holds under an event id."""

    content_hash: bytes
    stream_seq: int


async def insert_episodes(database: Database, connection: Connection, rows: Sequence[EpisodeRow]) -> set[int]:
    """Put in the rows whose event id is new; return their places in the log. Part of the caller's transaction.

    Raises a PostgresError where PostgreSQL refuses one of the values; then none is in.
    """
    columns = [[getattr(row, column) for row in rows] for column in COLUMNS]
    taken = await database.run(connection, INSERT, *columns)
    return {record["stream_seq"] for record in taken}


async def known_contents(database: Database, connection: Connection, ids: Sequence[str]) -> dict[str, Known]:
    """What stands under these event ids already."""
    records = await database.run(connection, KNOWN, ids)
    return {r["episode_id"]: Known(r["content_hash"], r["stream_seq"]) for r in records}


async def recent_episodes(database: Database, asked: RecentFilter) -> EpisodePage:
    """A page of episodes, newest first by timestamp. Raises a 400 for a bad cursor, `Unavailable`."""
    moment, ident = read_cursor(asked.before, RowId) if asked.before is not None else (None, None)
    filters = (asked.agent_id, asked.action_type, asked.tag, asked.importance_min, asked.since, asked.until)
    records = await database.rows(RECENT, *filters, moment, ident, asked.limit + 1)
    shown = records[: asked.limit]
    more = len(records) > asked.limit
    return EpisodePage(
        episodes=[episode_view(r) for r in shown],
        next_before=write_cursor(shown[-1]["timestamp"], shown[-1]["id"]) if more else None,
    )


async def get_episodes(database: Database, ids: Sequence[str]) -> list[EpisodeView]:
    """Those of these episodes that are persisted, in the order asked."""
    found = {r["episode_id"]: episode_view(r) for r in await database.rows(GET, ids)}
    return [found[i] for i in dict.fromkeys(ids) if i in found]


async def episode_states(database: Database, ids: Sequence[str]) -> dict[str, bool]:
    """Those of these events that are persisted, and whether they have a vector too."""
    return {r["episode_id"]: r["embedded"] for r in await database.rows(STATES, ids)}


def episode_view(record: asyncpg.Record) -> EpisodeView:
    """A row as callers see it."""
    return EpisodeView(
        episode_id=record["episode_id"],
        kind=record["kind"],
        agent_id=record["agent_id"],
        timestamp=rfc3339(record["timestamp"]),
        action_type=record["action_type"],
        action_details=decoded(record["action_details"]),
        context_state=decoded(record["context_state"]),
        importance_score=record["importance_score"],
        tags=record["tags"],
        consolidated=record["consolidated"],
        cross_reference=_text(record["cross_reference"]),
        project_dna_id=_text(record["project_dna_id"]),
        handoff_packet=decoded(record["handoff_packet"]),
        session_id=record["session_id"],
        subject=record["subject"],
        stream_seq=record["stream_seq"],
        recorded_at=rfc3339(record["recorded_at"]),
    )


def decoded(json: str | None) -> Any:
    """A `jsonb` column's value; asyncpg hands it over as text."""
    return None if json is None else msgspec.json.decode(json)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
