"""Spaces: which model made the vectors of this database. Vectors of different models cannot be compared."""

from typing import Final

import msgspec

from memory.database import Database, statement

ADD: Final = statement("add_space")
CURRENT: Final = statement("current_space")
LOCK: Final = statement("lock_spaces")


class SpaceMismatch(Exception):
    """The vectors in this database are of another model than the settings name; they cannot be compared with each other."""


class Space(msgspec.Struct, frozen=True):
    """A recorded space; `id` is the `space` of its vectors."""

    id: int
    model: str
    dimensions: int


async def claim_space(database: Database, model: str, dimensions: int) -> Space:
    """Record the space, or check that it is the recorded one; then its index exists. Raises `SpaceMismatch`, `Unavailable`."""
    async with database.transaction() as connection:
        await database.run(connection, LOCK)
        await database.run(connection, ADD, model, dimensions)
        (known,) = await database.run(connection, CURRENT)
        if (known["model"], known["dimensions"]) != (model, dimensions):
            raise SpaceMismatch(
                f"the database holds vectors of {known['model']} ({known['dimensions']} dimensions), the settings name {model} "
                f"({dimensions}): set CEREBRO_MEMORY_EMBEDDING back, or use another database"
            )
        await database.run(connection, statement("index_space", space=known["id"], dimensions=dimensions))
    return Space(known["id"], model, dimensions)
