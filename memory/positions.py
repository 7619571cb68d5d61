"""How far each consumer of the log is, and how often what it writes has changed."""

from typing import Final

import msgspec

from memory.database import Connection, Database, statement

ADVANCE: Final = statement("advance_position")
READ: Final = statement("positions")

REBUILD: Final = "rebuild"
"""Counts how often derived memory was made anew, so that no cached answer from before is believed."""
PERSISTER: Final = "memory"
"""Writes episodes; its position is how far the log is persisted."""
EMBEDDER: Final = "embedder"


class Position(msgspec.Struct, frozen=True):
    """`stream_seq`: the latest entry settled; `changes`: how many things were changed so far."""

    consumer: str
    stream_seq: int
    changes: int


async def advance(database: Database, connection: Connection, consumer: str, stream_seq: int, changes: int) -> None:
    """Note, in the caller's transaction, that `consumer` has come to `stream_seq` and changed so many things more."""
    await database.run(connection, ADVANCE, consumer, stream_seq, changes)


async def positions(database: Database) -> list[Position]:
    """Every consumer's position, in the order of their names."""
    return [Position(r["consumer"], r["stream_seq"], r["changes"]) for r in await database.rows(READ)]


async def persisted_seq(database: Database, connection: Connection) -> int:
    """How far the log is persisted, as this connection sees it."""
    return next((r["stream_seq"] for r in await database.run(connection, READ) if r["consumer"] == PERSISTER), 0)
