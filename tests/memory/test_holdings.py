"""What is held, counted."""

import pytest
from msgspec.structs import replace

from bus import subjects
from bus.errors import TimedOut, Unavailable
from memory.cache import Cache
from memory.database import Database
from memory.episode_row import episode_row
from memory.holdings import SOURCES_MAX, holdings
from memory.positions import PERSISTER, advance
from memory.settings import MemorySettings
from memory.stats import Stats
from memory.tally import Tally
from memory.working import WorkingMemory
from schemas.memory import Holdings, StatsRequest, WorkingPut
from schemas.tasks import Submission
from tests.memory.conftest import MakeRow, Remember


class TestHoldings:
    async def test_an_empty_memory_holds_nothing(self, database: Database) -> None:
        nothing = Holdings(
            episodes=0, told=0, unconsolidated=0, waiting=0, importance=[0] * 10,  sources=[], working_expired=0,
            working_long_lived=0,
        )  # fmt: skip
        assert await holdings(database, None) == nothing

    async def test_by_source_with_the_largest_first(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        await remember([*(make_row(n, agent="nexus") for n in range(1, 4)), make_row(4, agent="aria")])
        held = await holdings(database, None)
        assert [(s.agent_id, s.episodes, s.unconsolidated) for s in held.sources] == [("nexus", 3, 3), ("aria", 1, 1)]
        assert (held.sources[0].oldest, held.sources[0].newest) == ("2026-11-22T10:00:01.000000Z", "2026-11-22T10:00:03.000000Z")
        assert (held.episodes, held.unconsolidated) == (4, 4)

    async def test_only_what_was_told_in_words_can_become_a_concept(
        self, database: Database, make_row: MakeRow, remember: Remember
    ) -> None:
        submitted = replace(
            make_row(3).entry,
            subject=subjects.TASK_SUBMITTED.subject(task="t1"),
            name=subjects.TASK_SUBMITTED.name,
            tokens={"task": "t1"},
            body=Submission(title="words too"),
        )
        await remember([make_row(1), make_row(2, action_details={"n": 5}), episode_row(submitted)])
        held = await holdings(database, None)
        assert (held.episodes, held.told, held.unconsolidated) == (3, 1, 1)

    async def test_of_one_agent(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(1, agent="nexus"), make_row(2, agent="aria")])
        held = await holdings(database, "aria")
        assert (held.episodes, [s.agent_id for s in held.sources]) == (1, ["aria"])

    async def test_by_tenths_of_importance_with_both_ends_within(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(n, importance_score=score) for n, score in enumerate([0.0, 0.05, 0.1, 0.95, 1.0], 1)])
        assert (await holdings(database, None)).importance == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]

    async def test_what_was_looked_at_waits_no_more(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(1), make_row(2)])
        async with database.connection() as connection:
            await connection.execute(
                "UPDATE memory_system.unconsolidated SET examined = true WHERE id = (SELECT min(id) FROM memory_system.episodes)"
            )
        held = await holdings(database, None)
        assert (held.unconsolidated, held.waiting) == (2, 1)

    async def test_the_list_of_sources_has_a_limit_and_the_counts_have_none(
        self, database: Database, make_row: MakeRow, remember: Remember
    ) -> None:
        await remember([make_row(n, agent=f"agent{n}") for n in range(1, SOURCES_MAX + 11)])
        held = await holdings(database, None)
        assert (len(held.sources), held.episodes) == (SOURCES_MAX, SOURCES_MAX + 10)

    async def test_working_memory_that_is_over_and_that_lasts(self, database: Database, redis_url: str) -> None:
        cache = Cache(redis_url, "holdings", 1.0, 1.0)
        try:
            working = WorkingMemory(database, cache)
            for key, ttl_s in (("short", 60.0), ("long", 7 * 86_400.0), ("over", 0.000001)):
                await working.put(WorkingPut(session_id="s", key=key, context_data={}, agent_id="nexus", ttl_s=ttl_s))
            held = await holdings(database, "nexus")
            assert (held.working_expired, held.working_long_lived) == (1, 1)
            assert (await holdings(database, "aria")).working_long_lived == 0
        finally:
            await cache.close()


async def at_seven() -> int:
    return 7


async def nobody_says() -> int:
    raise TimedOut("no answer")


class TestStats:
    async def test_how_far_it_is_behind_the_log_is_told(self, database: Database, redis_url: str) -> None:
        cache = Cache(redis_url, "holdings", 1.0, 1.0)
        try:
            async with database.transaction() as connection:
                await advance(database, connection, PERSISTER, 4, 0)
            told = await Stats(database, cache, Tally(), at_seven).report(StatsRequest())
            assert (told.persisted_seq, told.unpersisted) == (4, 3)
            assert told.parts["episodic_memory"].detail == "3 entries of the log are not persisted yet"
            async with database.transaction() as connection:
                await advance(database, connection, PERSISTER, 7, 0)
            told = await Stats(database, cache, Tally(), at_seven).report(StatsRequest())
            assert (told.unpersisted, told.parts["episodic_memory"].detail) == (0, "")
            assert (await Stats(database, cache, Tally(), nobody_says).report(StatsRequest())).unpersisted is None
        finally:
            await cache.close()

    async def test_they_have_holdings_only_where_these_are_asked_for(self, database: Database, redis_url: str) -> None:
        cache = Cache(redis_url, "holdings", 1.0, 1.0)
        try:
            stats = Stats(database, cache, Tally(), at_seven)
            assert (await stats.report(StatsRequest())).holdings is None
            assert (await stats.report(StatsRequest(holdings=True))).holdings is not None
        finally:
            await cache.close()

    async def test_holdings_without_postgres_are_an_error_and_not_zero(self, redis_url: str) -> None:
        cache = Cache(redis_url, "holdings", 1.0, 1.0)
        try:
            with pytest.raises(Unavailable):
                await Stats(Database(MemorySettings()), cache, Tally(), at_seven).report(StatsRequest(holdings=True))
        finally:
            await cache.close()
