"""How fast the mesh takes in what happens: from the first publish on the log until everything is committed in PostgreSQL.

Without embeddings, beside the same statements with the same parameters run bare by asyncpg on the same server, in batches of
500 and interleaved in one run. With embeddings, beside the bare speed of the model.
"""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest

from bench import synthetic
from bench.asked import Asked
from bench.conftest import Launch
from bench.databases import beside
from bench.processor import processor_s
from bench.recorded import Ran, RecordingDatabase
from bench.table import show
from bus import subjects
from bus.connection import Bus, Outgoing
from memory.database import Database
from memory.episode_row import episode_row
from memory.fold import Fold
from memory.main import projections
from memory.minilm import MiniLM
from memory.positions import PERSISTER, advance
from memory.settings import MemorySettings
from schemas.memory import Await
from tests.integration.launched import Up
from tests.integration.rest import eventually

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1_800)]

ROUNDS = 5
BATCH = 500
BUS, BARE, FOLD = WAYS = ("through the bus", "its statements, bare", "its fold, without the bus")
PUBLISHERS = 2
EMBEDDED_ROWS = 400
EMBEDDED_S_MAX = 600.0
WAITING = "SELECT count(*) FROM memory_system.unembedded"


async def test_ingest_without_embeddings(asked: Asked, launch: Launch) -> None:
    up = launch(CEREBRO_MEMORY_EMBEDDING="none")
    dsn = up.run.postgres
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    used: Counter[str] = Counter()
    async with (
        connected(up) as bus,
        beside(dsn, "recorded", RecordingDatabase) as recording,
        beside(dsn, "bare", Database) as bare,
    ):
        for number in range(1 + ROUNDS):
            numbers = range(number * asked.rows, (number + 1) * asked.rows)
            times_s, used_s = await one_round(up, bus, recording, bare, numbers, bus_first=number % 2 == 0)
            if number:  # the first round warms up
                used.update(used_s)
                for way, taken_s in times_s.items():
                    rates[way].append(asked.rows / taken_s)
    ratios = {way: statistics.median(a / b for a, b in zip(rates[way], rates[BARE], strict=True)) for way in WAYS}
    rows = [(way, f"{statistics.median(rates[way]):,.0f}", f"{ratios[way]:.2f}") for way in WAYS]
    each = [f"{name} {1e6 * seconds / (ROUNDS * asked.rows):.0f}" for name, seconds in used.most_common() if seconds > 0]
    remark = f"Processor time of one row through the bus, in µs, all cores together: {', '.join(each)}."
    title = f"Ingest without embeddings: {ROUNDS} rounds of {asked.rows} rows"
    show(title, ("", "rows/s (median)", "ratio to bare (median of rounds)"), rows, remark)


async def one_round(
    up: Up, bus: Bus, recording: RecordingDatabase, bare: Database, numbers: Sequence[int], *, bus_first: bool
) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds that each way took for these rows, and the processor time that the mesh used for them."""
    times_s, used_s = {}, {}
    times_s[FOLD], transactions = await folded(recording, numbers)
    for way in (BUS, BARE) if bus_first else (BARE, BUS):
        if way == BARE:
            times_s[way] = await replayed(bare, transactions)
        else:
            before = processor_s(up)
            times_s[way] = await through_the_bus(bus, numbers)
            used_s = {name: after_s - before[name] for name, after_s in processor_s(up).items()}
    return times_s, used_s


async def test_ingest_with_embeddings(launch: Launch) -> None:
    texts = [synthetic.text(number) for number in range(EMBEDDED_ROWS)]
    up = launch()
    size = MemorySettings().embed_batch_len_max
    connection = await asyncpg.connect(up.run.postgres)
    async with connected(up) as bus:
        bare_s = await asyncio.to_thread(embedded_bare, texts, size)
        start = time.perf_counter()
        persisted_s = await through_the_bus(bus, range(EMBEDDED_ROWS))
        waiting = await connection.fetchval(WAITING)

        async def all_embedded() -> bool:
            return not await connection.fetchval(WAITING)

        await eventually(all_embedded, EMBEDDED_S_MAX)
        searchable_s = time.perf_counter() - start
        bare_s = (bare_s + await asyncio.to_thread(embedded_bare, texts, size)) / 2
    await connection.close()
    rows = [
        ("MiniLM, bare", f"{bare_s:.1f}", f"{EMBEDDED_ROWS / bare_s:.0f}", "1.00"),
        ("published → persisted", f"{persisted_s:.1f}", f"{EMBEDDED_ROWS / persisted_s:.0f}", ""),
        ("published → all with vectors", f"{searchable_s:.1f}", f"{EMBEDDED_ROWS / searchable_s:.0f}", f"{bare_s / searchable_s:.2f}"),
    ]
    remark = f"When all were persisted, {waiting} waited for their vectors; in the end none."
    show(f"Ingest with embeddings: {EMBEDDED_ROWS} rows", ("", "s", "rows/s", "ratio to bare"), rows, remark)


@asynccontextmanager
async def connected(up: Up) -> AsyncIterator[Bus]:
    bus = await Bus.connect(up.bus_settings(), "bench")
    yield bus
    await bus.close()


async def through_the_bus(bus: Bus, numbers: Sequence[int]) -> float:
    """Seconds from the first publish until the last of these is persisted."""
    outgoing = [Outgoing(row=subjects.EPISODE, body=synthetic.action(n), tokens={"agent": synthetic.agent(n)}) for n in numbers]
    batches = iter([outgoing[at : at + BATCH] for at in range(0, len(outgoing), BATCH)])
    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        publishers = [group.create_task(published(bus, batches), name=f"publisher {i}") for i in range(PUBLISHERS)]
    _, last = max(publisher.result() for publisher in publishers)
    awaited = await bus.ask(subjects.MEMORY_AWAIT, Await(id=last, timeout_s=60), timeout_s=65)
    assert awaited.persisted
    return time.perf_counter() - start


async def published(bus: Bus, batches: Iterator[list[Outgoing]]) -> tuple[int, str]:
    """Publish batches as long as there are any; the place and the id of the last entry."""
    last = (0, "")
    for batch in batches:
        stored = (await bus.publish_batch(batch))[-1]
        last = (stored.seq, stored.event_id)
    return last


async def folded(database: RecordingDatabase, numbers: Sequence[int]) -> tuple[float, list[list[Ran]]]:
    """Put these in as the persister does, without bus, actor or log: seconds, and the statements of each transaction."""
    rows = [episode_row(synthetic.entry(n)) for n in numbers]
    fold = Fold(database, projections(database))
    transactions = []
    database.taken()
    start = time.perf_counter()
    for at in range(0, len(rows), BATCH):
        some = rows[at : at + BATCH]
        async with database.transaction() as connection:
            taken = await fold.take(connection, some)
            await advance(database, connection, PERSISTER, some[-1].stream_seq, len(taken))
        transactions.append(database.taken())
    return time.perf_counter() - start, transactions


async def replayed(database: Database, transactions: Sequence[Sequence[Ran]]) -> float:
    """Seconds that the same statements take with nothing around them."""
    start = time.perf_counter()
    async with database.connection() as connection:
        for ran in transactions:
            async with connection.transaction():
                for statement, values in ran:
                    await connection.fetch(statement.sql, *values)
    return time.perf_counter() - start


def embedded_bare(texts: Sequence[str], size: int) -> float:
    """Seconds that the model takes for these texts, so many at a time."""
    model = MiniLM()
    start = time.perf_counter()
    for at in range(0, len(texts), size):
        model.embed(texts[at : at + size])
    return time.perf_counter() - start
