"""PostgreSQL whose connections, locks and sessions are taken away under load: nothing is lost or doubled, who asks meanwhile is told."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import httpx
import pytest

from tests.faults import held
from tests.faults.asking import QUESTIONS, Asking, Question
from tests.faults.chances import Chances
from tests.faults.invariants import judged
from tests.faults.load import Load
from tests.faults.planting import Change, mesh
from tests.faults.report import Report
from tests.faults.verdict import Verdict
from tests.integration.launched import Up
from tests.integration.rest import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_200)]

HELD_S: Final = 14.0
"""How long what is held is held: longer than a statement of ours may take (10 s)."""
STRUCK_S: Final = 8.0
STRUCK: Final = 5
"""How many batches are struck in their middle, and how often they are brought into a deadlock."""
TABLES: Final = 4
"""How many tables are locked one after the other beside those that everything needs."""
NEEDED: Final = ('memory_system."episodes"', 'memory_system."consumer_position"')
SLOW: Final = (*QUESTIONS, *(Question("GET", "/memory/episodic/recent?limit=20"),) * 40)
"""More questions at once than the actor has connections (20)."""


class Injected:
    """What is done one after the other to the PostgreSQL of one mesh, told to a report."""

    def __init__(self, up: Up, chances: Chances, report: Report) -> None:
        self.up = up
        self.rng = chances.random("database")
        self.report = report
        self.asking = Asking(up, chances.random("asking"))

    @property
    def dsn(self) -> str:
        return self.up.run.postgres

    async def hold(self, kind: str, holding: AbstractAsyncContextManager[Any], seconds: float) -> None:
        """Hold it for so long, then see how long it takes until what is acknowledged is persisted again."""
        async with holding:
            await asyncio.sleep(seconds)
        await self.recovered(kind)

    async def recovered(self, kind: str) -> None:
        self.report.injected(kind)
        self.report.recovered(kind, await persisted_again(self.up))

    async def everything(self, seconds: float) -> None:
        """Each kind of what is held, at least once."""
        others = [table for table in await held.tables(self.dsn) if table not in NEEDED]
        await self.hold("all connections taken", held.connections_taken(self.dsn), seconds)
        for table in (*NEEDED, *self.rng.sample(others, TABLES)):
            lock = f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"
            await self.hold("table locked", held.within(self.dsn, lock), seconds if table in NEEDED else 2.0)
        await self.hold("place in the log locked, idle in transaction", held.within(self.dsn, held.PLACE), seconds)
        await self.hold("rows locked", held.within(self.dsn, "SELECT 1 FROM memory_system.episodes FOR UPDATE"), 3.0)
        await self.hold("advisory locks held", held.advisory_locks(self.dsn), seconds)
        await self.uncommitted(3.0)
        await self.pool_exhausted(seconds)

    async def uncommitted(self, seconds: float) -> None:
        """Somebody has put a row under the id that a batch will bring, and neither commits nor gives up."""
        ident = f"uncommitted-{self.rng.getrandbits(64):016x}"
        row = f"""
            INSERT INTO memory_system.episodes (episode_id, kind, agent_id, timestamp, action_type, action_details, importance_score, tags,
                subject, stream_seq, recorded_at, content_hash, content)
            VALUES ('{ident}', 'episode', 'x', now(), 'x', '{{}}', 0.5, '{{}}', 'x', -1, now(), '\\x00', '')
        """
        async with held.within(self.dsn, row), httpx.AsyncClient(base_url=self.up.run.http, timeout=20, trust_env=False) as http:
            answer = await http.post("/memory/action", json={"action_type": "note", "agent_id": "other", "episode_id": ident})
            assert answer.status_code == 202, answer.text
            await asyncio.sleep(seconds)
        async with httpx.AsyncClient(base_url=self.up.run.http, timeout=20, trust_env=False) as http:
            await eventually(lambda: there(http, ident), 60)
        await self.recovered("row uncommitted under an id on its way")

    async def pool_exhausted(self, seconds: float) -> None:
        """More questions that wait for one table than the actor has connections: nothing else of it gets one."""
        lock = 'LOCK TABLE memory_system."episodes" IN ACCESS EXCLUSIVE MODE'
        async with Asking(self.up, self.rng, SLOW) as slow, held.within(self.dsn, lock):
            await asyncio.sleep(seconds)
        self.asking.dishonest += slow.dishonest
        await self.recovered("own pool exhausted by slow questions")

    async def struck(self, seconds: float, times: int) -> None:
        """Statements cancelled and sessions ended, at random and in the middle of a batch; deadlocks."""
        for verb in ("cancel", "terminate"):
            self.report.injected(f"{verb} at random", await held.strike(self.dsn, self.rng, verb, seconds))
            self.report.recovered(f"{verb} at random", await persisted_again(self.up))
            for _ in range(times):
                self.report.injected(f"{verb} in mid-batch", await held.strike_in_mid_batch(self.dsn, verb))
            self.report.recovered(f"{verb} in mid-batch", await persisted_again(self.up))
        before = await held.deadlocks(self.dsn)
        for _ in range(times):
            gave_way = await held.deadlock(self.dsn)
            self.report.injected(f"deadlock that {'the batch' if gave_way else 'the other'} had to break")
        self.report.recovered("deadlock", await persisted_again(self.up))
        assert await held.deadlocks(self.dsn) - before >= times


async def there(http: httpx.AsyncClient, ident: str) -> bool:
    return (await http.get(f"/memory/episodic/{ident}")).status_code == 200


async def persisted_again(up: Up) -> float:
    """How long it takes from now until an episode is acknowledged as persisted, in seconds."""
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=up.run.http, timeout=20, trust_env=False) as http:

        async def look() -> bool:
            answer = await http.post("/memory/action?wait=persisted", json={"action_type": "probe", "agent_id": "probe"})
            return answer.status_code == 201

        await eventually(look, 120)
    return time.monotonic() - began


@contextlib.asynccontextmanager
async def faulty(up: Up, chances: Chances, report: Report, name: str) -> AsyncIterator[tuple[Injected, Load]]:
    """Load and questions, and what injects beside them."""
    injected, load = Injected(up, chances, report), Load(up, chances.random("load"), name=name)
    async with load, injected.asking:
        await asyncio.sleep(1)
        yield injected, load
    for status, times in sorted(injected.asking.heard.items()):
        report.figure(f"questions answered with {status}", times)
    report.figure("slowest answer in seconds", injected.asking.slowest)


async def test_what_is_held_is_waited_for_and_everybody_is_told() -> None:
    chances = Chances()
    with mesh() as up, Report("what_is_held", chances) as report:
        async with faulty(up, chances, report, "held") as (injected, load):
            await injected.everything(HELD_S)
        verdict = await judged(up, load)
        report.verdict(verdict)
        assert verdict.broken == []
        assert injected.asking.dishonest == []
        assert injected.asking.refused, "nobody was refused, so nothing was held"


async def test_statements_cancelled_sessions_ended_and_deadlocks() -> None:
    chances = Chances()
    with mesh() as up, Report("sessions_ended", chances) as report:
        async with faulty(up, chances, report, "struck") as (injected, load):
            await injected.struck(STRUCK_S, STRUCK)
        verdict = await judged(up, load)
        report.verdict(verdict)
        assert verdict.broken == []
        assert injected.asking.dishonest == []


async def in_mid_batch(up: Up, chances: Chances) -> Verdict:
    """A few batches struck in their middle."""
    load = Load(up, chances.random("load"), name="planted", only=("episodes", "bus"))
    async with load:
        for _ in range(STRUCK):
            await held.strike_in_mid_batch(up.run.postgres, "terminate")
    return await judged(up, load, 40)


GIVES_UP: Final = Change(
    "memory/persister.py",
    '                log.warning("%d entries wait: %s", len(rows), e)\n',
    '                log.warning("%d entries are given up: %s", len(rows), e)\n                return []\n',
)


@pytest.mark.parametrize("bug", [GIVES_UP], ids=["a batch that failed is given up"])
async def test_planted(bug: Change) -> None:
    """What this room would say of a persister that does not keep its promise."""
    with mesh(changes=(bug,)) as up:
        verdict = await in_mid_batch(up, Chances(7))
    assert verdict.lost > 0, "a planted loss was not seen"
