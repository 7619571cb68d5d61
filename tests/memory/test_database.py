"""The pool while PostgreSQL is away."""

import asyncio

import asyncpg
import pytest

from bus.errors import Unavailable
from memory.database import Database, statement
from tests.integration.rest import eventually


async def test_what_is_away_is_unavailable_and_leaves_no_trace_in_the_log(
    database: Database, new_database: str, postgres_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    name = new_database.rpartition("/")[2]
    operator = await asyncpg.connect(postgres_dsn)

    async def away() -> bool:
        with pytest.raises(Unavailable):
            await database.rows(statement("positions"))
        return True

    async def back() -> bool:
        return await database.rows(statement("positions")) is not None

    await operator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    await away()
    await asyncio.sleep(0.3)  # in which the pool tries to have its connections again
    assert [r.exc_text for r in caplog.records if r.exc_info] == []
    await operator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    await eventually(back, away=(Unavailable,))
    await operator.close()
