"""How the cost of a search grows: its time through REST over 10,000, 100,000 and more episodes, beside its SQL arms run bare.

The million: `CEREBRO_BENCH_SIZES=10000,100000,1000000 make bench ARGS="-k scale"`.
"""

import statistics
import time
from collections.abc import Mapping, Sequence

import httpx
import msgspec
import pytest

from bench import synthetic
from bench.asked import Asked
from bench.bare_search import BareSearch, bare_search
from bench.conftest import Launch
from bench.filling import fill
from bench.table import show
from memory.settings import MemorySettings
from schemas.memory import SearchRequest
from tests.integration.rest import client, post

pytestmark = [pytest.mark.bench, pytest.mark.timeout(10_800)]

QUESTIONS = 40
WARM_UP = 5
QUESTION_LEN = 8
"""Words in a question."""
QUESTION_FIRST = 1_000_000_000
"""Questions are texts of numbers that no episode has."""
QUESTIONS_APART = 1_000
"""Between the numbers of those for one row of the table and those whose embedding is timed."""
QUIET = {"embed_every_s", "consolidate_every_s"}
"""Settings of what looks for work by itself; here it must not find the made-up episodes."""
COLUMNS = ("episodes", "scope", "p50 ms", "p95 ms", "arms, bare: p50 ms", "ratio to arms", "… and embedding", "of which ms", "filled in s")


async def test_search_at_scale(asked: Asked, launch: Launch) -> None:
    quiet = {f"CEREBRO_MEMORY_{name.upper()}": "86400" for name in QUIET & set(MemorySettings.__struct_fields__)}
    run = launch(**quiet).run
    rows: list[list[str]] = []
    filled = 0
    async with client(run.http) as http, bare_search(run.postgres, run.redis) as bare:
        for size in sorted(asked.sizes):
            start = time.perf_counter()
            await fill(bare.database, range(filled, size))
            filled_s, filled = time.perf_counter() - start, size
            for scope, agent in (("all agents", None), (f"one agent of {synthetic.AGENTS}", synthetic.agent(7))):
                cells = await searched(http, bare, agent, first=QUESTION_FIRST + len(rows) * 2 * QUESTIONS_APART)
                rows.append([f"{size:,}", scope, *cells, f"{filled_s:.0f}"])
                print(rows[-1], flush=True)
    show(f"Search at scale: {QUESTIONS} questions of {QUESTION_LEN} words each", COLUMNS, rows)


async def searched(http: httpx.AsyncClient, bare: BareSearch, agent: str | None, first: int) -> list[str]:
    """Ask questions that were not asked before; the cells of the table."""
    through_ms: list[float] = []
    arms_ms: list[Mapping[str, float]] = []
    for number in range(WARM_UP + QUESTIONS):
        request = SearchRequest(query=synthetic.text(first + number, QUESTION_LEN), agent_id=agent)
        arms = await bare.arms(request)
        if number % 2:
            arms_ms.append(await bare.run(arms))
            through_ms.append(await through_rest(http, request))
        else:
            through_ms.append(await through_rest(http, request))
            arms_ms.append(await bare.run(arms))
    embedding_ms = [
        await bare.embed(synthetic.text(first + QUESTIONS_APART + number, QUESTION_LEN)) for number in range(WARM_UP + QUESTIONS)
    ]
    return cells(through_ms[WARM_UP:], arms_ms[WARM_UP:], embedding_ms[WARM_UP:])


async def through_rest(http: httpx.AsyncClient, request: SearchRequest) -> float:
    """Milliseconds until the answer is here; it must not be one that was kept."""
    body = {name: value for name, value in msgspec.to_builtins(request).items() if value is not None}
    start = time.perf_counter()
    found = await post(http, "/memory/search", body, 200)
    taken_ms = (time.perf_counter() - start) * 1000
    assert not found["cached"]
    assert found["results"]
    return taken_ms


def cells(through_ms: Sequence[float], arms_ms: Sequence[Mapping[str, float]], embedding_ms: Sequence[float]) -> list[str]:
    through, arms = statistics.median(through_ms), statistics.median(sum(times.values()) for times in arms_ms)
    embedding = statistics.median(embedding_ms)
    names = sorted({name for times in arms_ms for name in times})
    each = [f"{name} {statistics.median(times.get(name, 0.0) for times in arms_ms):.1f}" for name in names]
    return [
        f"{through:.1f}",
        f"{sorted(through_ms)[int(len(through_ms) * 0.95)]:.1f}",
        f"{arms:.1f}",
        f"{through / arms:.2f}",
        f"{through / (arms + embedding):.2f}",
        ", ".join([*each, f"embedding {embedding:.1f}"]),
    ]
