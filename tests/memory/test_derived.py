"""Nothing that the log says is left out of the comparison by oversight."""

import re

from memory.database import Database
from memory.derived import DERIVED, NOT_DERIVED
from memory.hashes import Catalog, State, compared

CHOSEN = re.compile(r"now\(\)|clock_timestamp|random|nextval|CURRENT_", re.IGNORECASE)
"""Defaults that are another value in every rebuild."""


async def catalog(database: Database) -> Catalog:
    async with database.connection() as connection:
        return await State(database, connection, 0).catalog()


async def test_every_table_is_derived_or_said_not_to_be(database: Database) -> None:
    assert {table.name for table in DERIVED} | set(NOT_DERIVED) == set(await catalog(database))


def test_no_table_is_both() -> None:
    assert not {table.name for table in DERIVED} & set(NOT_DERIVED)


async def test_what_is_left_out_named_or_keyed_is_a_column(database: Database) -> None:
    tables = await catalog(database)
    for table in DERIVED:
        assert {*table.key, *table.natural, *table.left_out} <= {column.name for column in tables[table.name]}, table.name


async def test_no_value_that_postgresql_chooses_is_compared(database: Database) -> None:
    """Such a column belongs into `left_out`, or into `natural` where it refers to something."""
    tables = await catalog(database)
    for table in DERIVED:
        for column in tables[table.name]:
            chosen = column.is_identity or CHOSEN.search(column.default_value or "")
            if column.name in compared(table, tables[table.name]) and column.name not in table.natural:
                assert not chosen, f"{table.name}.{column.name}"


def test_every_omission_has_its_reason() -> None:
    reasons = [*NOT_DERIVED.values(), *(reason for table in DERIVED for reason in table.left_out.values())]
    assert all(len(reason) > 10 for reason in reasons)
