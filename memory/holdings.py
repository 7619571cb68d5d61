"""What is held in detail: by whom, how important, how much of it unconsolidated. One pass over the episodes, so only where asked for."""

from typing import Final

import asyncpg

from memory.database import Database, statement
from schemas.memory import IMPORTANCE_TENTHS, WORKING_LONG_S, Holdings, SourceHeld
from schemas.words import rfc3339

BY_SOURCE: Final = statement("held_by_source")
WORKING: Final = statement("held_working")

SOURCES_MAX: Final = 50
"""Most agents that are listed, those with the most episodes first."""


async def holdings(database: Database, agent_id: str | None) -> Holdings:
    """The holdings of one agent, or of all. Raises `Unavailable`."""
    records = await database.rows(BY_SOURCE, agent_id, SOURCES_MAX)
    working = await database.row(WORKING, agent_id, WORKING_LONG_S)
    assert working is not None, "an aggregate has one row"
    tenths = {r["tenth"]: r for r in records if r["tenth"] is not None}
    return Holdings(
        episodes=sum(r["episodes"] for r in tenths.values()),
        told=sum(r["told"] for r in tenths.values()),
        unconsolidated=sum(r["unconsolidated"] for r in tenths.values()),
        waiting=sum(r["waiting"] for r in tenths.values()),
        importance=[tenths[n]["episodes"] if n in tenths else 0 for n in range(1, IMPORTANCE_TENTHS + 1)],
        sources=[_source(r) for r in records if r["tenth"] is None],
        working_expired=working["expired"],
        working_long_lived=working["long_lived"],
    )


def _source(record: asyncpg.Record) -> SourceHeld:
    return SourceHeld(
        agent_id=record["agent_id"],
        episodes=record["episodes"],
        unconsolidated=record["unconsolidated"],
        oldest=rfc3339(record["oldest"]),
        newest=rfc3339(record["newest"]),
    )
