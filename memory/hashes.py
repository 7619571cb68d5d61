"""Hashes of derived tables, and where two states of a table differ.

A row's hash is the SHA-256 of its key and its values as canonical JSON (PostgreSQL's `jsonb`). A table's rows fall into 256 buckets
by the hash of their key; a bucket's hash is that of its sorted row hashes, and the table's that of its buckets. So neither the order
nor the place of rows matters, every row counts, and two states are compared by descending into the buckets that differ.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from memory.database import QUERIES, Connection, Database, Statement, statement
from memory.derived import DERIVED, Derived

COLUMNS: Final = statement("table_columns")
BUCKETS: Final = (QUERIES / "hash_buckets.sql").read_text()
ROWS: Final = (QUERIES / "hash_rows.sql").read_text()
VALUE: Final = (QUERIES / "hash_value.sql").read_text()

Catalog = Mapping[str, Sequence["Column"]]


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column as PostgreSQL's catalog describes it."""

    name: str
    is_generated: bool
    is_identity: bool
    default_value: str | None


class TableHash(msgspec.Struct, frozen=True):
    """How many rows a table has, the hash of all, and that of each bucket."""

    rows: int
    hash: str
    buckets: Mapping[int, bytes]


class Difference(msgspec.Struct, frozen=True):
    """A row that is not the same in both: `column` is None where only one has the row; absent values are None."""

    table: str
    key: str
    column: str | None
    live: Any
    rebuilt: Any


class State(msgspec.Struct, frozen=True):
    """A state of the database: what one connection sees, of the rows that came from `first_seq` on."""

    database: Database
    connection: Connection
    first_seq: int

    async def catalog(self) -> Catalog:
        """Every table of the schema with its columns."""
        found: dict[str, list[Column]] = {}
        for r in await self.database.run(self.connection, COLUMNS):
            column = Column(
                name=r["column_name"], is_generated=r["is_generated"], is_identity=r["is_identity"], default_value=r["default_value"]
            )
            found.setdefault(r["table_name"], []).append(column)
        return found

    async def hashes(self, tables: Sequence[Derived] = DERIVED) -> dict[str, TableHash]:
        """The hash of each table."""
        catalog = await self.catalog()
        return {table.name: await self._hash(table, catalog) for table in tables}

    async def _hash(self, table: Derived, catalog: Catalog) -> TableHash:
        records = await self.database.run(self.connection, _asked("hash_buckets", BUCKETS, table, catalog), self.first_seq)
        buckets = {r["bucket"]: r["hash"] for r in records}
        whole = hashlib.sha256(b"".join(bytes([bucket]) + digest for bucket, digest in sorted(buckets.items())))
        return TableHash(sum(r["row_count"] for r in records), whole.hexdigest(), buckets)

    async def rows(self, table: Derived, bucket: int) -> dict[str, bytes]:
        """The hash of each row in a bucket, by its key."""
        asked = _asked("hash_rows", ROWS, table, await self.catalog())
        return {r["key"]: r["hash"] for r in await self.database.run(self.connection, asked, self.first_seq, bucket)}

    async def values(self, table: Derived, key: str) -> dict[str, Any]:
        """The compared values of a row; empty where there is none."""
        asked = _asked("hash_value", VALUE, table, await self.catalog())
        records = await self.database.run(self.connection, asked, self.first_seq, key)
        return msgspec.json.decode(records[0]["value"], type=dict[str, Any]) if records else {}


async def differences(table: Derived, live: State, rebuilt: State, buckets: Sequence[int]) -> AsyncIterator[Difference]:
    """What differs in these buckets of a table, in the order of the keys."""
    for bucket in buckets:
        a, b = await live.rows(table, bucket), await rebuilt.rows(table, bucket)
        for key in sorted(a.keys() | b.keys()):
            if a.get(key) != b.get(key):
                for found in _columns(table.name, key, await live.values(table, key), await rebuilt.values(table, key)):
                    yield found


def _columns(table: str, key: str, live: dict[str, Any], rebuilt: dict[str, Any]) -> list[Difference]:
    if not live or not rebuilt:
        return [Difference(table, key, None, live or None, rebuilt or None)]
    return [Difference(table, key, name, live[name], rebuilt[name]) for name in sorted(live) if live[name] != rebuilt[name]]


def compared(table: Derived, columns: Sequence[Column]) -> list[str]:
    """The columns of a table that are compared."""
    return [column.name for column in columns if not column.is_generated and column.name not in table.left_out]


def _asked(name: str, sql: str, table: Derived, catalog: Catalog) -> Statement:
    return Statement(name, sql.replace("{rows}", _named_rows(table, compared(table, catalog[table.name]))))


def _named_rows(table: Derived, columns: Sequence[str]) -> str:
    """SQL of each row's key and values. Its parameter $1 is the first place in the log that counts."""
    key = ", ".join(_expression(table, column) for column in table.key)
    values = ", ".join(f"'{column}', {_expression(table, column)}" for column in columns)
    return (
        f"SELECT jsonb_build_array({key}) AS key, jsonb_build_object({values}) AS value "  # noqa: S608 - made of constants and the catalog
        f"FROM memory_system.{table.name} AS t {table.joins} WHERE {table.where} AND {table.seq or '$1'} >= $1::bigint"
    )


def _expression(table: Derived, column: str) -> str:
    return table.natural.get(column, f't."{column}"')
