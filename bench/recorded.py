"""A database that notes what it runs, so that the very same statements can be run again without anything around them."""

from typing import Any

import asyncpg

from memory.database import Connection, Database, Statement
from memory.settings import MemorySettings

Ran = tuple[Statement, tuple[Any, ...]]


class RecordingDatabase(Database):
    """`ran`: every statement with its parameters, in order."""

    def __init__(self, settings: MemorySettings) -> None:
        super().__init__(settings)
        self.ran: list[Ran] = []

    async def run(self, connection: Connection, asked: Statement, *values: Any) -> list[asyncpg.Record]:
        self.ran.append((asked, values))
        return await super().run(connection, asked, *values)

    def taken(self) -> list[Ran]:
        """What ran since the last call."""
        ran, self.ran = self.ran, []
        return ran
