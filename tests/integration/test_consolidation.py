"""The consolidation over real NATS and PostgreSQL: by request, resumed, one at a time; nothing invisible, nothing formed twice."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from bus import subjects
from bus.connection import Bus, Outgoing, Stored
from bus.errors import Unavailable
from bus.log import entries
from bus.settings import BusSettings
from memory.arrivals import Arrivals
from memory.consolidation.run import Consolidation
from memory.consolidation.source import Source
from memory.consolidation.summary import Extractive
from memory.database import Database
from memory.settings import MemorySettings
from schemas.concepts import ConceptById, ConceptRequest, ConceptView, ConsolidateRequest, ConsolidationReport
from schemas.memory import Action, Await, SearchRequest
from tests.integration.acting import actor
from tests.integration.rest import eventually

DEPLOYS = (
    "The deploy to staging failed with TimeoutError on db-2.",
    "Deploy to staging failed: TimeoutError on db-2 after 30 s.",
    "Deploying to staging failed again with TimeoutError on db-2.",
)
QUEUES = ("We decided to move the queue to NATS JetStream.", "We decided that the queue moves to NATS JetStream next week.")
BACKUPS = ("The nightly backup of Ledger runs at 3 in the morning.", "Nightly backup of Ledger runs at 3 every morning.")
ODD = "A penguin visited the office kitchen."


@pytest.fixture
def settings(new_database: str, redis_url: str) -> MemorySettings:
    return MemorySettings(
        postgres_dsn=new_database, redis_url=redis_url, embedding="none", pool_size_min=1, pool_size_max=6, recalls_every_s=0.1
    )


@pytest_asyncio.fixture
async def memory(bus: Bus, bus_settings: BusSettings, settings: MemorySettings) -> AsyncIterator[None]:
    async with actor(bus_settings, settings):
        yield


@asynccontextmanager
async def consolidation(bus: Bus, settings: MemorySettings, **more: Any) -> AsyncIterator[Consolidation]:
    """A runner of the test's own, beside the actor's."""
    database = Database(settings)
    await database.open()
    try:
        yield Consolidation(bus, database, Arrivals(database, embeds=False, recheck_s=0.1), settings, **more)
    finally:
        await database.close()


async def said(bus: Bus, texts: Sequence[str], agent: str = "nexus", **fields: Any) -> list[str]:
    """Put these on the log and wait until they are persisted; their ids."""
    bodies = [Action(action_type="note", action_details={"text": text}, **fields) for text in texts]
    stored = await bus.publish_batch([Outgoing(row=subjects.EPISODE, body=body, tokens={"agent": agent}) for body in bodies])
    ids = [one.event_id for one in stored]
    for ident in ids:
        assert (await bus.ask(subjects.MEMORY_AWAIT, Await(id=ident, timeout_s=20), timeout_s=25)).persisted
    return ids


async def consolidated(bus: Bus, **asked: Any) -> ConsolidationReport:
    report: ConsolidationReport = await bus.ask(subjects.MEMORY_CONSOLIDATE, ConsolidateRequest(**asked), timeout_s=30)
    return report


async def concept(bus: Bus, ident: str) -> Any:
    return await bus.ask(subjects.MEMORY_SEMANTIC_GET, ConceptById(id=ident))


async def formed(bus: Bus) -> list[Any]:
    return await entries(bus, [subjects.CONCEPT.wildcard])


async def ids_found(bus: Bus, query: str) -> set[str]:
    return {hit.id for hit in (await bus.ask(subjects.MEMORY_SEARCH, SearchRequest(query=query, limit=50))).results}


@pytest.mark.usefixtures("memory")
class TestByRequest:
    async def test_what_tells_of_the_same_forms_a_concept_with_its_sources_and_all_of_it_is_found(self, bus: Bus) -> None:
        ids = await said(bus, [*DEPLOYS, ODD])
        report = await consolidated(bus)
        assert (report.examined, report.formed, report.joined, report.complete) == (4, 1, 0, True)
        got = await concept(bus, report.concepts[0])
        assert (got.source_episodes, got.knowledge_type, got.origin) == (ids[:3], "failure", "consolidated")
        assert [source.consolidated for source in got.sources] == [True, True, True]
        assert DEPLOYS[0] in got.content
        assert {*ids[:3], got.concept_id} <= await ids_found(bus, "deploy staging TimeoutError")
        assert await ids_found(bus, "penguin") == {ids[3]}

    async def test_the_second_run_has_nothing_to_do_and_a_near_duplicate_joins_the_standing_concept(self, bus: Bus) -> None:
        ids = await said(bus, DEPLOYS[:2])
        first = await consolidated(bus)
        again = await consolidated(bus)
        assert (again.examined, again.formed, again.joined, again.complete) == (0, 0, 0, True)
        before = await concept(bus, first.concepts[0])
        ids += await said(bus, DEPLOYS[2:], agent="aria")
        joined = await consolidated(bus)
        assert (joined.formed, joined.joined, joined.concepts) == (0, 1, first.concepts)
        after = await concept(bus, first.concepts[0])
        assert (after.source_episodes, after.version, after.concept) == (ids, 2, before.concept)
        assert after.confidence_score > before.confidence_score

    async def test_one_that_was_alone_is_found_again_when_something_like_it_comes(self, bus: Bus) -> None:
        (lonely,) = await said(bus, DEPLOYS[:1])
        assert (await consolidated(bus)).formed == 0
        (like,) = await said(bus, DEPLOYS[1:2])
        report = await consolidated(bus)
        assert (report.examined, report.formed) == (1, 1)
        assert (await concept(bus, report.concepts[0])).source_episodes == [lonely, like]

    async def test_a_contradiction_keeps_both_statements_with_their_times_and_says_so(self, bus: Bus) -> None:
        ids = await said(bus, ["The pool size is 20.", "The pool size is 20 now."])
        first = await consolidated(bus)
        assert (await concept(bus, first.concepts[0])).contradicts == []
        ids += await said(bus, ["The pool size is 50."], agent="aria")
        report = await consolidated(bus)
        assert (report.joined, report.contradictions) == (1, 1)
        got = await concept(bus, first.concepts[0])
        assert got.contradicts == [ids[2]]
        assert {(s.episode_id, s.stance, s.agent_id) for s in got.statements} == {
            (ids[0], "held", "nexus"),
            (ids[1], "held", "nexus"),
            (ids[2], "against", "aria"),
        }
        at = {source.episode_id: source.timestamp[:19].replace("T", " ") for source in got.sources}
        assert f"“The pool size is 20 now.” (nexus, {at[ids[1]]})" in got.content
        assert f"“The pool size is 50.” (aria, {at[ids[2]]})" in got.content
        assert got.confidence_score < 0.5
        (entry,) = [e for e in await formed(bus) if e.body.contradicts]
        assert entry.body.contradicts == [ids[2]]

    async def test_only_what_was_asked_for_is_looked_at(self, bus: Bus) -> None:
        await said(bus, DEPLOYS[:2])
        await said(bus, QUEUES, agent="aria")
        report = await consolidated(bus, agent_id="aria")
        assert (report.examined, report.formed, report.complete) == (2, 1, True)
        assert (await concept(bus, report.concepts[0])).knowledge_type == "decision"
        assert (await consolidated(bus)).formed == 1

    async def test_what_protocols_wrote_is_not_consolidated_but_lessons_are(self, bus: Bus) -> None:
        from schemas.consensus import Vote
        from schemas.learning import Lesson

        for text in BACKUPS:
            await bus.publish(subjects.VOTE, Vote(choice="approve", rationale=text), proposal="p", agent="aria")
        stored = [await bus.publish(subjects.LESSON, Lesson(topic="backups", content=text), agent="nexus") for text in BACKUPS]
        for one in stored:
            await bus.ask(subjects.MEMORY_AWAIT, Await(id=one.event_id, timeout_s=20), timeout_s=25)
        report = await consolidated(bus)
        assert report.examined == 2
        assert (await concept(bus, report.concepts[0])).source_episodes == [one.event_id for one in stored]


@pytest.mark.usefixtures("memory")
class TestTold:
    async def test_a_told_concept_stands_in_the_log_and_in_postgresql(self, bus: Bus) -> None:
        asked = ConceptRequest(concept="pools", content="Twice the cores is enough.", knowledge_type="rule", confidence_score=0.9)
        view: ConceptView = await bus.ask(subjects.MEMORY_SEMANTIC_PUT, asked)
        (entry,) = await formed(bus)
        assert (entry.tokens, entry.body.content, entry.body.origin) == ({"concept": view.concept_id}, asked.content, "told")
        got = await concept(bus, view.concept_id)
        shared = {field: getattr(got, field) for field in view.__struct_fields__}
        assert ConceptView(**shared) == view

    async def test_episodes_join_it_and_its_words_and_type_stay(self, bus: Bus) -> None:
        asked = ConceptRequest(concept="Ledger backup", content="The nightly backup of Ledger runs at 3.", knowledge_type="rule")
        view = await bus.ask(subjects.MEMORY_SEMANTIC_PUT, asked)
        ids = await said(bus, BACKUPS[:1])
        report = await consolidated(bus)
        assert (report.joined, report.formed) == (1, 0)
        got = await concept(bus, view.concept_id)
        assert (got.concept, got.knowledge_type, got.source_episodes, got.version) == ("Ledger backup", "rule", ids, 2)
        assert got.content.startswith(asked.content)
        assert got.confidence_score > 0.5

    async def test_it_is_acknowledged_while_postgresql_is_behind(self, bus: Bus, settings: MemorySettings) -> None:
        connection = await asyncpg.connect(settings.postgres_dsn)
        async with connection.transaction():
            await connection.execute("LOCK TABLE memory_system.episodes IN EXCLUSIVE MODE")  # so that nothing can be persisted
            view = await bus.ask(subjects.MEMORY_SEMANTIC_PUT, ConceptRequest(concept="c", content="kept"), timeout_s=10)
            (entry,) = await formed(bus)
            assert (entry.tokens["concept"], view.content) == (view.concept_id, "kept")
        await connection.close()
        got = await eventually(lambda: concept_or_none(bus, view.concept_id))
        assert got.created_at[:23] == view.created_at[:23]


async def concept_or_none(bus: Bus, ident: str) -> Any:
    from bus.errors import Refused

    try:
        return await concept(bus, ident)
    except Refused:
        return None


class Dying(Extractive):
    """A summariser that fails from its `n`-th text on, as if the process had died there."""

    def __init__(self, n: int) -> None:
        self.left = n

    async def summarise(self, sources: Sequence[Source], told: str | None) -> str:
        if self.left == 0:
            raise asyncio.CancelledError
        self.left -= 1
        return await super().summarise(sources, told)


@pytest.mark.usefixtures("memory")
class TestRuns:
    @pytest.mark.parametrize("done", [0, 1, 2])
    async def test_one_that_is_killed_between_entries_is_gone_on_with_and_nothing_is_formed_twice(
        self, bus: Bus, settings: MemorySettings, done: int
    ) -> None:
        ids = await said(bus, [*DEPLOYS, *QUEUES, *BACKUPS])
        one_by_one = msgspec.structs.replace(settings, consolidate_batch_len_max=1)
        async with consolidation(bus, one_by_one, summariser=Dying(done)) as killed:
            with pytest.raises(asyncio.CancelledError):
                await killed.consolidate(ConsolidateRequest())
        assert len(await formed(bus)) == done
        assert set(ids) <= await ids_found(bus, " ".join((*DEPLOYS, *QUEUES, *BACKUPS)))
        report = await consolidated(bus)
        assert (report.formed, report.joined, report.complete) == (3 - done, 0, True)
        sources = [ident for entry in await formed(bus) for ident in entry.body.source_episodes]
        assert sorted(sources) == sorted(ids)

    async def test_of_two_at_once_one_waits_and_nothing_is_formed_twice(self, bus: Bus, settings: MemorySettings) -> None:
        ids = await said(bus, [*DEPLOYS, *QUEUES, *BACKUPS])
        async with consolidation(bus, settings) as one, consolidation(bus, settings) as other:
            reports = await asyncio.gather(*(c.consolidate(ConsolidateRequest()) for c in (one, other, one, other)))
        assert sorted(report.formed for report in reports) == [0, 0, 0, 3]
        sources = [ident for entry in await formed(bus) for ident in entry.body.source_episodes]
        assert sorted(sources) == sorted(ids)

    async def test_a_run_is_bounded_and_says_that_there_is_more(
        self, bus: Bus, bus_settings: BusSettings, settings: MemorySettings
    ) -> None:
        await said(bus, [*DEPLOYS, *QUEUES, *BACKUPS])
        small = msgspec.structs.replace(settings, consolidate_len_max=4, consolidate_look_len_max=2)
        async with consolidation(bus, small) as bounded:
            reports = [await bounded.consolidate(ConsolidateRequest()) for _ in range(2)]
        assert [(report.examined, report.complete) for report in reports] == [(4, False), (3, True)]
        held = [set(entry.body.consolidated) for entry in await formed(bus)]
        assert sum(len(one) for one in held) == len(set().union(*held))

    async def test_the_most_important_is_looked_at_first(self, bus: Bus, settings: MemorySettings) -> None:
        await said(bus, DEPLOYS, importance_score=0.2)
        await said(bus, QUEUES, importance_score=0.9)
        small = msgspec.structs.replace(settings, consolidate_len_max=2)
        async with consolidation(bus, small) as bounded:
            report = await bounded.consolidate(ConsolidateRequest())
        assert (await concept(bus, report.concepts[0])).knowledge_type == "decision"

    async def test_the_schedule_consolidates_when_enough_waits(self, bus: Bus, settings: MemorySettings) -> None:
        often = msgspec.structs.replace(settings, consolidate_every_s=0.05, consolidate_len_min=3)
        async with consolidation(bus, often) as scheduled:
            running = asyncio.create_task(scheduled.run())
            await said(bus, QUEUES)
            await asyncio.sleep(0.3)
            assert await formed(bus) == []
            await said(bus, [ODD])
            await eventually(lambda: formed(bus))
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def test_a_run_whose_publish_failed_is_told_and_loses_nothing(self, bus: Bus, settings: MemorySettings) -> None:
        await said(bus, DEPLOYS)

        class Deaf:
            def __getattr__(self, name: str) -> Any:
                return getattr(bus, name)

            async def publish_batch(self, *args: Any, **kwargs: Any) -> list[Stored]:
                raise Unavailable("NATS is away")

        async with consolidation(Deaf(), settings) as failing:  # type: ignore[arg-type] - a Bus that publishes nothing
            with pytest.raises(Unavailable):
                await failing.consolidate(ConsolidateRequest())
        assert (await consolidated(bus)).formed == 1


@pytest.mark.usefixtures("memory")
class TestRecalls:
    async def test_first_answers_are_counted_in_the_background(self, bus: Bus, settings: MemorySettings) -> None:
        (ident,) = await said(bus, [ODD])
        for _ in range(3):
            await ids_found(bus, "penguin")
        await bus.ask(subjects.MEMORY_SEARCH, SearchRequest(query="penguin", as_of=10**6))

        async def counted() -> int:
            connection = await asyncpg.connect(settings.postgres_dsn)
            try:
                return await connection.fetchval("SELECT coalesce(sum(recalls), 0) FROM memory_system.recalls WHERE episode_id = $1", ident)
            finally:
                await connection.close()

        async def three() -> bool:
            return await counted() == 3

        await eventually(three)
        await asyncio.sleep(0.3)
        assert await counted() == 3
