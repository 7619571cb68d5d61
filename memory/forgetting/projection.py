"""What an entry that tells of a forgetting does to the database: everything that came of the named events is deleted."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Final

from memory.database import Connection, Database, statement
from memory.episode_row import EpisodeRow
from memory.forgetting.hashes import id_hash
from memory.graph import erase_edges
from memory.open_tasks import erase_tasks
from schemas.forgetting import Forgotten

PUT: Final = statement("put_forgetting")
PUT_IDS: Final = statement("put_forgotten_ids")
COPIES: Final = statement("copies_of")
LATE: Final = statement("put_late_places")
ERASE_COPIES: Final = statement("erase_copies")
ERASE_EPISODES: Final = statement("erase_episodes")
ERASE_PASSAGES: Final = statement("erase_passages")
ERASE_CONCEPTS: Final = statement("erase_concepts")
ERASE_VERSIONS: Final = statement("erase_concept_versions")
ERASE_CONCEPT_PASSAGES: Final = statement("erase_concept_passages")
UNSALT: Final = statement("unsalt_seal_links")


class Forgetting:
    """The last projection: it deletes what those before it have made of the same entries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, connection: Connection, fresh: Sequence[EpisodeRow]) -> None:
        """See `memory.fold.Projection`."""
        for row in fresh:
            if isinstance(row.entry.body, Forgotten):
                await self._note(connection, row, row.entry.body)
                await self._note_late(connection, row.entry.body, fresh)
                await self._delete(connection, row.stream_seq, row.entry.body)

    async def _note(self, connection: Connection, row: EpisodeRow, told: Forgotten) -> None:
        receipt = row.entry.tokens["receipt"]
        counts = (told.episodes, told.lessons, len(told.concepts), len(told.rewritten), told.working_items, told.dead_letters)
        place = (row.stream_seq, row.recorded_at, told.pieces, sorted(set(told.seqs)))
        await self._database.run(connection, PUT, receipt, told.selector, *place, *counts, told.complete, told.remains)
        await self._database.run(connection, PUT_IDS, [id_hash(ident) for ident in (*told.ids, *told.concepts)], receipt, row.stream_seq)

    async def _note_late(self, connection: Connection, told: Forgotten, fresh: Sequence[EpisodeRow]) -> None:
        """Places of these events that were not known when the forgetting was told."""
        gone = set(told.ids)
        copies = {record["stream_seq"] for record in await self._database.run(connection, COPIES, told.ids)}
        own = {row.stream_seq for row in fresh if row.episode_id in gone}
        if late := (copies | own) - set(told.seqs):
            await self._database.run(connection, LATE, list(late))

    async def _delete(self, connection: Connection, seq: int, told: Forgotten) -> None:
        concepts = [*told.concepts, *told.rewritten]
        await self._database.run(connection, ERASE_PASSAGES, told.ids)
        await self._database.run(connection, ERASE_CONCEPT_PASSAGES, concepts, seq)
        await self._database.run(connection, ERASE_CONCEPTS, _uuids(concepts), seq)
        await self._database.run(connection, ERASE_VERSIONS, _uuids(concepts), seq)
        await erase_edges(self._database, connection, [*told.ids, *told.concepts], told.seqs)
        await erase_tasks(self._database, connection, told.ids)
        await self._database.run(connection, ERASE_COPIES, told.ids)
        await self._database.run(connection, ERASE_EPISODES, told.ids)
        await self._database.run(connection, UNSALT, told.seqs)  # after the rows: who seals them holds them until it is done


def _uuids(idents: Iterable[str]) -> list[uuid.UUID]:
    """Those that are UUIDs; nothing else is the id of a concept."""
    found = []
    for ident in idents:
        try:
            found.append(uuid.UUID(ident))
        except ValueError:
            continue
    return found
