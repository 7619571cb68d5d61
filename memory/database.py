"""PostgreSQL: a pool that survives its server, statements read from files, and the time each took."""

import asyncio
import bisect
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy
from pgvector.asyncpg import register_vector

from bus.errors import Unavailable
from memory.settings import MemorySettings
from schemas.memory import QueryTimes

log = logging.getLogger("cerebro.memory")

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

QUERIES: Final = Path(__file__).parent / "queries"
LONG_S: Final = 7 * 86_400.0
"""Longest time of a statement that takes as long as there are rows."""
LOG_EVERY_S: Final = 5.0  # how often a wait for PostgreSQL is said again
BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram of statement times, in seconds."""

AWAY_CLASSES: Final = ("08", "25", "40", "53", "55", "57", "58", "XX")
"""Classes of SQLSTATE that may pass: connection, read-only (a failover), deadlock, no resources, locked, shut down, disk, internal."""
REFUSAL_CLASSES: Final = ("22", "23", "54")
"""Classes of SQLSTATE that condemn the values: bad data, a constraint, a limit of the program."""
RAISED: Final = (OSError, asyncpg.InternalClientError, asyncpg.InterfaceError, asyncpg.PostgresError)


def is_away(error: BaseException) -> bool:
    """Whether this says that PostgreSQL cannot do it now, rather than that the statement or its values are wrong."""
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate)[:2] in AWAY_CLASSES
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)  # a ValueError is asyncpg's own word for a value that it cannot encode
    return isinstance(error, OSError | asyncpg.InternalClientError)  # TimeoutError is an OSError


def refused_reason(error: BaseException) -> str | None:
    """Why PostgreSQL will never take these values, or None where the trouble lies elsewhere."""
    if isinstance(error, asyncpg.PostgresError):
        refused = str(error.sqlstate)[:2] in REFUSAL_CLASSES
    else:
        refused = isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)
    return f"PostgreSQL refused it: {error}" if refused else None


class Statement(msgspec.Struct, frozen=True):
    """One SQL statement; `name` is its file in `queries/`, and its name in the statistics."""

    name: str
    sql: str


def statement(name: str, **constants: int) -> Statement:
    """The statement in `queries/<name>.sql`; `constants` are put in place of `{name}` where SQL takes no parameter."""
    sql = (QUERIES / f"{name}.sql").read_text()
    for key, value in constants.items():
        sql = sql.replace(f"{{{key}}}", str(int(value)))
    return Statement(name, sql)


class Times:
    """A histogram of durations, as of one statement; `bounds_s` are the upper bounds of its buckets."""

    def __init__(self, bounds_s: Sequence[float] = BUCKETS_S) -> None:
        self._bounds_s = bounds_s
        self._counts = [0] * (len(bounds_s) + 1)
        self._sum_s = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect.bisect_left(self._bounds_s, seconds)] += 1
        self._sum_s += seconds

    def view(self) -> QueryTimes:
        """Cumulative, as Prometheus counts: each bucket holds all that took no longer."""
        total, buckets = 0, {}
        for bound, count in zip(self._bounds_s, self._counts, strict=False):
            total += count
            buckets[f"{bound:g}"] = total
        return QueryTimes(count=sum(self._counts), sum_s=self._sum_s, buckets=buckets)


END_LOST: Final = statement("end_lost")


async def leave(_connection: asyncpg.Connection) -> None:
    """Reset nothing when a connection goes back: no statement here changes its session, and each reset is a way to and fro."""


class Database:
    """The pool. Every method raises `Unavailable` while PostgreSQL is away; refusals of values come as asyncpg raises them."""

    def __init__(self, settings: MemorySettings) -> None:
        self._settings = settings
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._times: dict[str, Times] = {}

    async def open(self) -> None:
        """Connect. The schema must be there (`migrations.apply`), because its vector types are registered. Raises what asyncpg does."""
        s = self._settings
        logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)  # that PostgreSQL is away is said here, in a line and without a trace
        self._pool = await asyncpg.create_pool(
            s.postgres_dsn,
            min_size=min(s.pool_size_min, s.pool_size_max),
            max_size=s.pool_size_max,
            max_inactive_connection_lifetime=s.connection_idle_s_max,
            command_timeout=s.statement_timeout_s,
            timeout=s.statement_timeout_s,
            init=register_vector,
            reset=leave,
            server_settings=self._session(),
        )

    async def close(self) -> None:
        """Close every connection, at once: nothing is under way any more."""
        if self._pool is not None:
            self._pool.terminate()

    def _session(self) -> dict[str, str]:
        return {
            "application_name": "cerebro-memory",
            "timezone": "UTC",
            "jit": "off",  # compiling a plan takes longer than any of these statements
            "max_parallel_workers_per_gather": "0",  # so does starting workers
            "plan_cache_mode": "force_custom_plan",  # an absent filter must vanish from the plan
            "client_min_messages": "warning",
            # of a client that is gone and could not say so, the locks would be held for hours, and its own writes wait for them
            "idle_in_transaction_session_timeout": str(int(self._settings.statement_timeout_s * 1000)),
            "hnsw.iterative_scan": "relaxed_order",  # or a filter of 1 % finds 3.5 % of what it should
            "hnsw.ef_search": str(self._settings.vector_ef_search),
        }

    async def rows(self, asked: Statement, *values: Any) -> list[asyncpg.Record]:
        """Run one statement and return its rows; where its connection was dead, once more on another. For questions, and
        for writes that a second time changes nothing.
        """
        try:
            return await self.once(asked, *values)
        except Unavailable as e:
            if isinstance(e.__cause__, TimeoutError | asyncpg.QueryCanceledError):
                raise
        return await self.once(asked, *values)

    async def row(self, asked: Statement, *values: Any) -> asyncpg.Record | None:
        """The first row, or None."""
        rows = await self.rows(asked, *values)
        return rows[0] if rows else None

    async def once(self, asked: Statement, *values: Any) -> list[asyncpg.Record]:
        """Run one statement and return its rows. `Unavailable` leaves open whether a write has happened."""
        async with self.connection() as connection:
            return await self.run(connection, asked, *values)

    async def run(self, connection: Connection, asked: Statement, *values: Any) -> list[asyncpg.Record]:
        """Run one statement on a connection that is held already, and note its time."""
        start = time.perf_counter()
        try:
            return await connection.fetch(asked.sql, *values)
        finally:
            self._times.setdefault(asked.name, Times()).add(time.perf_counter() - start)

    async def long(self, connection: Connection, asked: Statement, *values: Any) -> list[asyncpg.Record]:
        """As `run`, for what takes as long as there are rows: building an index, deleting a space."""
        start = time.perf_counter()
        try:
            return await connection.fetch(asked.sql, *values, timeout=LONG_S)
        finally:
            self._times.setdefault(asked.name, Times()).add(time.perf_counter() - start)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for a while. Raises `Unavailable` where PostgreSQL cannot do it now; refusals and bugs come as they are."""
        if self._pool is None:
            raise Unavailable("PostgreSQL: not connected yet")
        try:
            async with self._pool.acquire(timeout=self._settings.statement_timeout_s) as connection:
                yield connection
        except RAISED as e:
            if not is_away(e):
                raise
            raise Unavailable(f"PostgreSQL: {str(e) or type(e).__name__}") from e

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection in a transaction: committed when the block ends well, else undone."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    @property
    def connections_in_use(self) -> int:
        return self._pool.get_size() - self._pool.get_idle_size() if self._pool else 0

    def times(self) -> Mapping[str, QueryTimes]:
        """The histogram of each statement that has run."""
        return {name: times.view() for name, times in self._times.items()}


async def end_lost(database: Database, settings: MemorySettings) -> None:
    """For ever: end the sessions whose client, one of ours, is gone without a word, so that nobody waits for what they hold."""
    while True:
        await asyncio.sleep(settings.statement_timeout_s / 2)
        try:
            if ended := await database.rows(END_LOST, settings.statement_timeout_s):
                log.warning("%d sessions of PostgreSQL were ended, whose client is gone", len(ended))
        except Unavailable as e:
            log.debug("lost sessions are looked for later: %s", e)


async def open_when_there(settings: MemorySettings, prepare: Callable[[str], Awaitable[None]]) -> Database:
    """Wait until PostgreSQL answers, `prepare` its schema, and return the open pool. Says every few seconds what it waits for.

    Raises what asyncpg does for troubles that will not pass, as a wrong password.
    """
    said_at = -LOG_EVERY_S
    while True:
        try:
            await prepare(settings.postgres_dsn)
            database = Database(settings)
            await database.open()
            return database
        except RAISED as e:
            if not is_away(e):
                raise
            if time.monotonic() - said_at > LOG_EVERY_S:
                said_at = time.monotonic()
                log.warning("waiting for PostgreSQL: %s", str(e) or type(e).__name__)
        await asyncio.sleep(settings.reconnect_pause_s)
