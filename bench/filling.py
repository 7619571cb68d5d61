"""Fill the database of a running mesh with synthetic episodes: through the fold, so that every table has what it would have, but
without the log, and with synthetic vectors, set-based. A million take minutes.
"""

from collections.abc import Sequence
from typing import Final

import asyncpg
from pgvector import HalfVector

from bench import synthetic
from memory.database import Database
from memory.episode_row import episode_row
from memory.fold import Fold
from memory.main import projections

AT_ONCE: Final = 2_000
BUILD_MEMORY: Final = "3GB"
BUILD_WORKERS: Final = 2

VECTORS: Final = """
WITH given AS (
    SELECT p.id, given.embedding
    FROM unnest($2::text[], $3::halfvec[]) AS given (owner, embedding)
    JOIN memory_system.passages AS p ON p.owner = given.owner
),
done AS (DELETE FROM memory_system.unembedded AS q USING given WHERE q.passage = given.id)
INSERT INTO memory_system.vectors (space, passage, embedding) SELECT $1, id, embedding FROM given
"""
INDEXES: Final = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'memory_system' AND indexdef LIKE '%USING hnsw%'"
SPACE: Final = "SELECT id, dimensions FROM memory_system.spaces WHERE state = 'current'"


async def fill(database: Database, numbers: Sequence[int]) -> None:
    """Put these synthetic episodes in. The index of the nearest vectors is dropped meanwhile: building it whole is much quicker."""
    async with database.connection() as connection:
        indexes = await connection.fetch(INDEXES)
        for index in indexes:
            await connection.execute(f"DROP INDEX memory_system.{index['indexname']}")
        (space,) = await connection.fetch(SPACE)
    fold = Fold(database, projections(database))
    for at in range(0, len(numbers), AT_ONCE):
        await _put(database, fold, space, numbers[at : at + AT_ONCE])
    async with database.connection() as connection:
        await connection.execute(f"SET maintenance_work_mem = '{BUILD_MEMORY}'; SET max_parallel_maintenance_workers = {BUILD_WORKERS}")
        for index in indexes:
            await connection.execute(index["indexdef"])
        await connection.execute("RESET maintenance_work_mem; RESET max_parallel_maintenance_workers")
        await connection.execute("VACUUM ANALYZE")


async def _put(database: Database, fold: Fold, space: asyncpg.Record, numbers: Sequence[int]) -> None:
    rows = [episode_row(synthetic.entry(n)) for n in numbers]
    vectors = [HalfVector(v) for v in synthetic.vectors(numbers, space["dimensions"])]
    async with database.transaction() as connection:
        await fold.take(connection, rows)
        await connection.execute(VECTORS, space["id"], [row.episode_id for row in rows], vectors)
