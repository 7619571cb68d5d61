"""Whether this log is the one that was persisted. A log that was made anew begins at 1 again, and says other things at the same places."""

import asyncpg

from bus.connection import Bus
from bus.log import bounds
from memory.database import Connection, Database, statement
from memory.episode_row import plain
from memory.positions import persisted_seq
from schemas.entry import Entry

BOUNDS = statement("episode_bounds")


async def episode_bounds(database: Database, connection: Connection) -> asyncpg.Record | None:
    """The oldest and the latest place of an episode, and the id of the latest; None where there is none."""
    records = await database.run(connection, BOUNDS)
    return records[0] if records else None


async def another(bus: Bus, database: Database, connection: Connection) -> str | None:
    """What shows that the log is another one, in a sentence; None where nothing does. Raises `Unavailable`."""
    end = await persisted_seq(database, connection)
    first, last = await bounds(bus)
    if last < end:
        return f"memory has persisted entry {end}, and the log ends at {last}"
    known = await episode_bounds(database, connection)
    if known is not None and known["latest"] >= first:
        entry = await bus.entry_at(known["latest"])
        if isinstance(entry, Entry) and plain(entry.event_id) != known["latest_id"]:
            return f"entry {entry.seq} of the log is {entry.event_id}, memory knows {known['latest_id']} there"
    return None
