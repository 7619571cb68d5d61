"""The fold takes each entry once, whatever is delivered again, in whatever batches and order."""

import random
from collections.abc import Sequence

from memory.batch import in_portions, rows_of
from memory.database import Database
from memory.episode_row import EpisodeRow
from memory.fold import Fold
from memory.hashes import State, TableHash
from memory.main import projections
from tests.history import history, in_the_log


def rows_of_a_history(rounds: int = 8) -> list[EpisodeRow]:
    """Without those that PostgreSQL refuses: they stand alone in a batch, which is the persister's and the refold's work."""
    rows, _ = rows_of(in_the_log(history(random.Random(4), rounds)))
    return [row for row in rows if len(row.episode_id) <= 255]


async def folded(database: Database, batches: Sequence[Sequence[EpisodeRow]]) -> dict[str, TableHash]:
    fold = Fold(database, projections(database))
    for batch in batches:
        async with database.transaction() as connection:
            await fold.take(connection, batch)
    async with database.connection() as connection:
        return await State(database, connection, 1).hashes()


async def test_three_more_deliveries_in_shuffled_batches_change_no_row(database: Database) -> None:
    rows = rows_of_a_history()
    first = await folded(database, in_portions(rows, 37, 10**6))
    assert all(table.rows for name, table in first.items() if name != "log_copies")  # no event stands there twice
    rng = random.Random(5)
    for _ in range(3):
        batches = in_portions(rows, rng.randint(1, 60), 10**6)
        rng.shuffle(batches)
        for batch in batches:
            rng.shuffle(batch)
        assert await folded(database, batches) == first


async def test_an_entry_that_is_twice_in_a_batch_is_taken_once(database: Database) -> None:
    rows = rows_of_a_history(2)
    twice = await folded(database, [sorted([*rows, *rows], key=lambda row: row.stream_seq)])
    assert await folded(database, [rows]) == twice
