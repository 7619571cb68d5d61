"""The fold: what a well-formed entry of the log becomes in PostgreSQL. The persister and the rebuild both go this way."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from bus import subjects
from memory.database import Connection, Database
from memory.episode_row import EpisodeRow
from memory.episodes import insert_episodes
from memory.forgetting.guard import note_copies, remembered


class Projection(Protocol):
    """Something kept beside the episodes and derived from the same entries: the graph, concepts, open tasks."""

    async def take(self, connection: Connection, fresh: Sequence[EpisodeRow]) -> None:
        """Take in entries that are new, in the order of the log, in the caller's transaction. Called once for each entry.

        Deterministic: the same entries leave the same rows. Raises a PostgresError where PostgreSQL refuses a value; then the
        persister halves the batch until the entry stands alone, and buries it.
        """


class Fold:
    """Episodes first, then every projection, all of them in one transaction."""

    def __init__(self, database: Database, projections: Sequence[Projection]) -> None:
        self._database = database
        self._projections = projections

    async def take(self, connection: Connection, rows: Sequence[EpisodeRow]) -> set[int]:
        """Put in what is new of `rows`, which stand in the order of the log; return the places of those in the log.

        An entry that was delivered again while its first delivery waited stands in `rows` twice, and is taken once. What was
        forgotten is not put in again, and not new.
        """
        taken: set[int] = set()
        for some in until_forgotten(list({row.stream_seq: row for row in rows}.values())):
            taken |= await self._take(connection, some)
        return taken

    async def _take(self, connection: Connection, rows: Sequence[EpisodeRow]) -> set[int]:
        rows = await remembered(self._database, connection, rows)
        taken = await insert_episodes(self._database, connection, rows)
        fresh = [row for row in rows if row.stream_seq in taken]
        if len(fresh) < len(rows):
            await note_copies(self._database, connection, [row for row in rows if row.stream_seq not in taken])
        if fresh:
            for projection in self._projections:
                await projection.take(connection, fresh)
        return taken


def until_forgotten(rows: Sequence[EpisodeRow]) -> Iterator[Sequence[EpisodeRow]]:
    """`rows` in runs that each end with what tells of a forgetting: what comes after it must find it done, in any batch."""
    start = 0
    for place, row in enumerate(rows, 1):
        if row.entry.name == subjects.FORGOTTEN.name:
            yield rows[start:place]
            start = place
    if start < len(rows):
        yield rows[start:]
