"""The tables out of PostgreSQL, as one snapshot sees them, and into an empty database: binary COPY, a file a table."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, TypeAlias

import asyncpg

from bus.errors import conflict
from cerebro.backup.compressed import pieces, written
from memory import migrations
from memory.database import Connection
from memory.migrations import SCHEMA

Anyone: TypeAlias = "asyncpg.Connection | Connection"
"""A connection of its own, or one of a pool."""
COPY_S: Final = 3_600.0
"""Longest time to copy one table."""
TABLES: Final = """
SELECT c.oid::regclass::text AS name, array_remove(array_agg(f.confrelid::regclass::text), NULL) AS needs
FROM pg_class AS c
LEFT JOIN pg_constraint AS f ON f.conrelid = c.oid AND f.contype = 'f' AND f.confrelid <> c.oid
WHERE c.relnamespace = to_regnamespace($1) AND c.relkind = 'r' AND c.relname <> 'alembic_version'
GROUP BY c.oid
ORDER BY 1
"""
IDENTITIES: Final = """
SELECT format('SELECT setval(%L, coalesce((SELECT max(%I) FROM %s), 0) + 1, false)',
    pg_get_serial_sequence(a.attrelid::regclass::text, a.attname), a.attname, a.attrelid::regclass) AS sql
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
WHERE c.relnamespace = to_regnamespace($1) AND c.relkind = 'r' AND a.attidentity <> ''
"""

CONSTRAINTS: Final = """
SELECT
    format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS off,
    format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS on
FROM pg_constraint
WHERE connamespace = to_regnamespace($1) AND contype = ANY($2::"char"[])
ORDER BY conrelid::regclass::text, conname
"""
INDEXES: Final = """
SELECT format('DROP INDEX %s', i.indexrelid::regclass) AS off, pg_get_indexdef(i.indexrelid) AS on
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE
    c.relnamespace = to_regnamespace($1)
    AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.contype = ANY(ARRAY['p', 'u']::"char"[]))
ORDER BY c.relname
"""


async def in_order(connection: Anyone) -> list[str]:
    """The tables, each after those that it refers to."""
    needs = {r["name"]: set(r["needs"]) for r in await connection.fetch(TABLES, SCHEMA)}
    ordered: list[str] = []
    while needs:
        ready = sorted(name for name, wanted in needs.items() if wanted <= set(ordered))
        ordered += ready
        for name in ready:
            del needs[name]
    return [name.removeprefix(f"{SCHEMA}.") for name in ordered]


async def save(connection: Anyone, folder: Path) -> dict[str, int]:
    """Write every table, as the caller's transaction sees it; how many rows each has."""
    return {table: await _save(connection, table, folder) for table in await in_order(connection)}


async def _save(connection: Anyone, table: str, folder: Path) -> int:
    with written(folder / f"{table}.copy.zst") as file:

        async def write(data: bytes) -> None:
            file.write(data)

        status = await connection.copy_from_table(table, schema_name=SCHEMA, output=write, format="binary", timeout=COPY_S)
    return int(status.rpartition(" ")[2])


async def fill(connection: Anyone, revision: str, rows: dict[str, int], folder: Path) -> None:
    """Make the schema of a revision in an empty database, and fill its tables, in the caller's transaction.

    What holds the tables together rests meanwhile, for it is made over all rows at once in a fraction of the time: indexes, keys, and the
    triggers that keep one table by another (what they made is a table too). Raises 409 where the database is not empty, where this version
    does not know the revision, or where a table takes another number of rows than was saved.
    """
    await _prepare(connection, revision)
    tables = [table for table in await in_order(connection) if table in rows]
    for table in tables:
        await connection.execute(f"ALTER TABLE {SCHEMA}.{table} DISABLE TRIGGER USER")
    bonds = [
        *await connection.fetch(CONSTRAINTS, SCHEMA, [b"f"]),
        *await connection.fetch(INDEXES, SCHEMA),
        *await connection.fetch(CONSTRAINTS, SCHEMA, [b"p", b"u"]),
    ]
    for bond in bonds:
        await connection.execute(bond["off"])
    for table in tables:
        status = await connection.copy_to_table(
            table, schema_name=SCHEMA, source=_source(folder / f"{table}.copy.zst"), format="binary", freeze=True, timeout=COPY_S
        )
        if int(status.rpartition(" ")[2]) != rows[table]:
            raise conflict(f"{SCHEMA}.{table} took {status}, and {rows[table]} rows were saved")
    for bond in reversed(bonds):
        await connection.execute(bond["on"], timeout=COPY_S)
    for table in tables:
        await connection.execute(f"ALTER TABLE {SCHEMA}.{table} ENABLE TRIGGER USER")
    for record in await connection.fetch(IDENTITIES, SCHEMA):
        await connection.execute(record["sql"])


async def _prepare(connection: Anyone, revision: str) -> None:
    if await connection.fetchval("SELECT to_regnamespace($1)", SCHEMA) is not None:
        raise conflict(f"the database has a schema {SCHEMA}: a backup is restored into an empty one")
    if revision not in migrations.known():
        raise conflict(f"the backup has schema {revision}, which this version does not know; it has {migrations.HEAD}")
    await connection.execute(f"CREATE SCHEMA {SCHEMA}")
    await connection.execute(migrations.upgrade_script(None, revision))


async def _source(path: Path) -> AsyncIterator[bytes]:
    for piece in pieces(path):
        yield piece
        await asyncio.sleep(0)
