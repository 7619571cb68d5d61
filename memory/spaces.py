"""Spaces: which model made the vectors of this database. Vectors of different models cannot be compared.

current    questions are answered in it, and what is remembered is embedded in it
filling    another process fills it with a vector for each passage (`memory.reembedding`)
ready      it is filled and indexed: the memory actor that is started with its settings makes it the current one
retired    nobody reads it any more; its vectors are being deleted
"""

import asyncio
import logging
from typing import Final

import msgspec

from bus.errors import Misconfigured, Unavailable
from memory.database import Connection, Database, statement
from memory.positions import EMBEDDER, advance

log = logging.getLogger("cerebro.memory")

ADD: Final = statement("add_space")
LIST: Final = statement("list_spaces")
LOCK: Final = statement("lock_spaces")
SET_STATE: Final = statement("set_space_state")
HOLD: Final = statement("hold_space")
COUNT: Final = statement("count_space")
UNQUEUE: Final = statement("unqueue_embedded")
REQUEUE: Final = statement("queue_unembedded_in")
COPY_CONCEPTS: Final = statement("copy_concept_vectors")
DELETE_VECTORS: Final = statement("delete_vectors")
DELETE_SPACE: Final = statement("delete_space")

DELETED_LEN: Final = 5_000
"""Most vectors deleted, or copied, by one statement."""


class SpaceMismatch(Misconfigured):
    """The vectors in this database are of another model than the settings name; they cannot be compared with each other."""


class Space(msgspec.Struct, frozen=True):
    """A recorded space; `id` is the `space` of its vectors."""

    id: int
    model: str
    dimensions: int
    state: str = "current"

    def __str__(self) -> str:
        return f"{self.model} ({self.dimensions} dimensions)"

    def holds(self, model: str, dimensions: int) -> bool:
        """Whether its vectors are of this model."""
        return (self.model, self.dimensions) == (model, dimensions)


async def claim_space(database: Database, model: str, dimensions: int) -> Space:
    """The space that the settings name, as the current one; one that is ready takes the place of the one before. An empty one gets its
    index here: that of vectors that are there already is made meanwhile (`memory.space_index`).

    All in one transaction: whoever reads sees the old space or the new one. Raises `SpaceMismatch`, `Unavailable`.
    """
    async with database.transaction() as connection:
        await database.run(connection, LOCK)
        known = await spaces(database, connection)
        current = next((space for space in known if space.state == "current"), None)
        wanted = next((space for space in known if space.state != "retired" and space.holds(model, dimensions)), None)
        if current is not None and current != wanted:
            await _require_replaceable(database, connection, current, wanted, f"{model} ({dimensions} dimensions)")
            await _retire(database, connection, [current])
        if wanted is None:
            wanted = await _added(database, connection, model, dimensions, "current")
        elif wanted != current:
            await _made_current(database, connection, wanted, current)
        if await _is_empty(database, connection, wanted):
            await database.run(connection, statement("index_space", space=wanted.id, dimensions=dimensions))
    return msgspec.structs.replace(wanted, state="current")


async def spaces(database: Database, connection: Connection) -> list[Space]:
    """Every space, the oldest first."""
    return [Space(r["id"], r["model"], r["dimensions"], r["state"]) for r in await database.run(connection, LIST)]


async def begin_space(database: Database, model: str, dimensions: int) -> Space:
    """The space to be filled: a new one, or the one that was begun before. Others that were begun are given up.

    Raises `Misconfigured` where it is the current one, `Unavailable`.
    """
    async with database.transaction() as connection:
        await database.run(connection, LOCK)
        begun = None
        for space in await spaces(database, connection):
            if space.state == "current" and space.holds(model, dimensions):
                raise Misconfigured(f"the database's current space is {space} already: there is nothing to change")
            if space.state in {"filling", "ready"}:
                if space.holds(model, dimensions):
                    begun = space
                else:
                    await _retire(database, connection, [space])
        return begun or await _added(database, connection, model, dimensions, "filling")


async def set_state(database: Database, space: Space, state: str) -> None:
    """Give a space another state, unless it was claimed or given up meanwhile. Raises `SpaceMismatch`, `Unavailable`."""
    async with database.transaction() as connection:
        await database.run(connection, LOCK)
        await hold(database, connection, space, ("filling", "ready"))
        await database.run(connection, SET_STATE, space.id, state)


async def hold(database: Database, connection: Connection, space: Space, states: tuple[str, ...]) -> None:
    """See to it that the space has one of these states until the transaction ends. Raises `SpaceMismatch`."""
    held = await database.run(connection, HOLD, space.id)
    state = held[0]["state"] if held else "gone"
    if state not in states:
        raise SpaceMismatch(f"the space {space} is {state} now: another process has changed the space of this database")


async def clear_away(database: Database, current: Space | None, pause_s: float, grace_s: float = 0.0) -> None:
    """Delete the vectors of retired spaces, a few thousand at a time, with their indexes; first let the concepts' copies follow.

    Begins after `grace_s`, in which an actor that still reads them hears that it has to end. Returns when all is done; waits while
    PostgreSQL is away.
    """
    await asyncio.sleep(grace_s)
    while True:
        try:
            async with database.connection() as connection:
                retired = [space for space in await spaces(database, connection) if space.state == "retired"]
                while retired and current is not None and await database.long(connection, COPY_CONCEPTS, current.id, DELETED_LEN):
                    pass
                for space in retired:
                    await _clear(database, connection, space)
            return
        except Unavailable as e:
            log.debug("old vectors are not deleted yet: %s", e)
        await asyncio.sleep(pause_s)


async def _clear(database: Database, connection: Connection, space: Space) -> None:
    await database.long(connection, statement("drop_space_index", space=space.id))
    while await database.long(connection, DELETE_VECTORS, space.id, DELETED_LEN):
        pass
    await database.run(connection, DELETE_SPACE, space.id)
    log.info("the vectors of the former space %s are deleted", space)


async def _require_replaceable(database: Database, connection: Connection, current: Space, wanted: Space | None, asked: str) -> None:
    """A current space may be replaced by one that is ready, or if it is empty."""
    if (wanted is not None and wanted.state == "ready") or await _is_empty(database, connection, current):
        return
    if wanted is not None:
        remedy = "which is being filled: go on with the old settings until `cerebro memory reembed` says that it is ready"
    else:
        remedy = (
            "and the two cannot be compared: go on with the old settings, run `cerebro memory reembed` with the new ones, then start again"
        )
    raise SpaceMismatch(f"the database holds vectors of {current}, the settings name {asked}, {remedy}")


async def _is_empty(database: Database, connection: Connection, space: Space) -> bool:
    return not (await database.run(connection, COUNT, space.id, 1))[0]["vectors"]


async def _made_current(database: Database, connection: Connection, wanted: Space, former: Space | None) -> None:
    """Questions are answered in it from here on; the queue holds what has no vector in it."""
    await database.run(connection, SET_STATE, wanted.id, "current")
    await database.long(connection, UNQUEUE, wanted.id)
    if former is not None:
        await database.long(connection, REQUEUE, former.id, wanted.id)
    await advance(database, connection, EMBEDDER, 0, 1)  # answers that were kept are of the former space


async def _retire(database: Database, connection: Connection, gone: list[Space]) -> None:
    for space in gone:
        await database.run(connection, SET_STATE, space.id, "retired")


async def _added(database: Database, connection: Connection, model: str, dimensions: int, state: str) -> Space:
    (row,) = await database.run(connection, ADD, model, dimensions, state)
    return Space(row["id"], model, dimensions, state)
