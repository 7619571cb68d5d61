"""The memory actor over real NATS and PostgreSQL: exactly once in effect, whatever dies in between."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from bus import subjects
from bus.connection import Bus, Outgoing
from bus.errors import Refused, Unavailable
from bus.log import entries
from bus.settings import BusSettings
from bus.streams import declare
from cerebro.embedded.postgres import PostgresServer
from memory.main import run
from memory.settings import MemorySettings
from schemas.concepts import ConceptById, ConceptFilter, ConceptRequest
from schemas.consensus import Deadline, Vote
from schemas.dead import DeadLetter
from schemas.learning import Lesson
from schemas.memory import Action, Await, ById, RecentFilter, SearchRequest, StatsRequest, WorkingFilter, WorkingKey, WorkingPut
from tests.integration.acting import actor


@pytest.fixture
def settings(new_database: str, redis_url: str) -> MemorySettings:
    return MemorySettings(
        postgres_dsn=new_database, redis_url=redis_url, embedding="none", pool_size_min=1, pool_size_max=6, reconnect_pause_s=0.1
    )


def note(n: int) -> Outgoing:
    body = Action(action_type="note", action_details={"text": f"note {n}"})
    return Outgoing(row=subjects.EPISODE, body=body, tokens={"agent": "nexus"}, msg_id=f"note-{n}")


async def persisted(bus: Bus, ident: str) -> None:
    awaited = await bus.ask(subjects.MEMORY_AWAIT, Await(id=ident, timeout_s=20), timeout_s=25)
    assert awaited.persisted


async def dead_letters(bus: Bus, count: int) -> list[DeadLetter]:
    """The dead letters, as soon as there are `count` of them."""
    async with asyncio.timeout(15):
        while True:
            found = await entries(bus, [subjects.DEAD_LETTER.wildcard], stream=subjects.DEAD)
            if len(found) >= count:
                return [entry.body for entry in found]
            await asyncio.sleep(0.05)


async def all_ids(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT episode_id FROM memory_system.episodes ORDER BY stream_seq")
    finally:
        await connection.close()
    return [row["episode_id"] for row in rows]


class TestTheWay:
    async def test_an_action_is_persisted_listed_searched_and_got(
        self, bus: Bus, bus_settings: BusSettings, settings: MemorySettings
    ) -> None:
        async with actor(bus_settings, settings):
            action = Action(action_type="optimisation", action_details={"text": "indexes made it fast", "speaker": "Nexus"}, tags=["pg"])
            stored = await bus.publish(subjects.EPISODE, action, agent="nexus")
            await persisted(bus, stored.event_id)
            got = await bus.ask(subjects.MEMORY_GET, ById(id=stored.event_id))
            assert (got.action_details, got.stream_seq, got.subject) == (
                action.action_details,
                stored.seq,
                subjects.EPISODE.subject(agent="nexus"),
            )
            recent = await bus.ask(subjects.MEMORY_RECENT, RecentFilter(tag="pg"))
            assert recent.episodes == [got]
            (hit,) = (await bus.ask(subjects.MEMORY_SEARCH, SearchRequest(query="which index is fast?"))).results
            assert (hit.id, hit.text) == (stored.event_id, "Nexus: indexes made it fast")

    async def test_every_event_of_a_protocol_becomes_an_episode_but_for_schedules(
        self, bus: Bus, bus_settings: BusSettings, settings: MemorySettings
    ) -> None:
        async with actor(bus_settings, settings):
            await bus.publish(subjects.TIMER, Deadline(), proposal="p1")
            vote = await bus.publish(subjects.VOTE, Vote(choice="approve", rationale="cheap"), proposal="p1", agent="aria")
            lesson = await bus.publish(subjects.LESSON, Lesson(topic="pg", content="vacuum", confidence=0.6), agent="aria")
            await persisted(bus, vote.event_id)
            await persisted(bus, lesson.event_id)
            page = await bus.ask(subjects.MEMORY_RECENT, RecentFilter())
            shown = [(e.kind, e.action_type, e.agent_id, e.importance_score) for e in reversed(page.episodes)]
            assert shown == [("episode", subjects.VOTE.name, "aria", 0.5), ("lesson", "lesson", "aria", 0.6)]
            assert page.episodes[1].action_details["proposal"] == "p1"
            (hit,) = (await bus.ask(subjects.MEMORY_SEARCH, SearchRequest(query="vacuum", kinds=["lesson"]))).results
            assert hit.id == lesson.event_id

    async def test_who_listens_hears_of_each_after_its_commit(self, bus: Bus, bus_settings: BusSettings, settings: MemorySettings) -> None:
        heard: list[tuple[str, Any]] = []

        async def hear(msg: Any) -> None:
            heard.append((bus.plain(msg.subject), msgspec.json.decode(msg.data)))

        await bus.nc.subscribe(bus.wire(subjects.CHANGED.wildcard), cb=hear)
        await bus.nc.flush()
        async with actor(bus_settings, settings):
            stored = await bus.publish(subjects.LESSON, Lesson(topic="pg", content="vacuum"), agent="aria")
            async with asyncio.timeout(10):
                while not heard:
                    await asyncio.sleep(0.01)
            assert stored.event_id in await all_ids(settings.postgres_dsn)
        body = {"id": stored.event_id, "kind": "lesson", "stream_seq": stored.seq}
        assert heard == [(subjects.CHANGED.subject(agent="aria", kind="lesson"), body)]

    async def test_a_body_without_any_header_is_an_episode_too(self, bus: Bus, bus_settings: BusSettings, settings: MemorySettings) -> None:
        async with actor(bus_settings, settings):
            ack = await bus.js.publish(bus.wire(subjects.LESSON.subject(agent="me")), b'{"topic": "t", "content": "by hand", "new": 1}')
            entry = await bus.entry_at(ack.seq)
            assert entry is not None
            await persisted(bus, entry.event_id)

    async def test_working_and_semantic_memory_answer_over_the_bus(
        self, bus: Bus, bus_settings: BusSettings, settings: MemorySettings
    ) -> None:
        async with actor(bus_settings, settings):
            put = await bus.ask(subjects.MEMORY_WORKING_PUT, WorkingPut(session_id="s", key="k", context_data={"a": 1}))
            key = WorkingKey(session_id="s", key="k")
            assert await bus.ask(subjects.MEMORY_WORKING_GET, key) == put
            assert (await bus.ask(subjects.MEMORY_WORKING_LIST, WorkingFilter(session_id="s"))).items == [put]
            assert (await bus.ask(subjects.MEMORY_WORKING_DELETE, key)).deleted
            concept = await bus.ask(subjects.MEMORY_SEMANTIC_PUT, ConceptRequest(concept="c", content="about indexes"))
            assert (await bus.ask(subjects.MEMORY_SEMANTIC_LIST, ConceptFilter(query="index"))).concepts == [concept]
            assert (await bus.ask(subjects.MEMORY_SEMANTIC_GET, ConceptById(id=concept.concept_id))).sources == []

    async def test_refusals_name_what_is_wrong(self, bus: Bus, bus_settings: BusSettings, settings: MemorySettings) -> None:
        async with actor(bus_settings, settings):
            for row, body, status, path in (
                (subjects.MEMORY_GET, ById(id="unknown"), 404, None),
                (subjects.MEMORY_WORKING_GET, WorkingKey(session_id="s", key="k"), 404, None),
                (subjects.MEMORY_RECENT, RecentFilter(before="nonsense"), 400, "$.before"),
                (subjects.MEMORY_RECENT, RecentFilter(action_type="\0"), 400, "$"),
                (subjects.MEMORY_SEARCH, b'{"query": ""}', 400, "$.query"),
            ):
                with pytest.raises(Refused) as refused:
                    await bus.ask(row, body)
                problem = refused.value.problem()
                assert problem.status == status
                assert path in {None, "$"} or problem.errors[0].path == path

    async def test_an_await_of_what_never_comes_answers_at_its_time(
        self, bus: Bus, bus_settings: BusSettings, settings: MemorySettings
    ) -> None:
        async with actor(bus_settings, settings):
            awaited = await bus.ask(subjects.MEMORY_AWAIT, Await(id="never", timeout_s=0.05))
            assert (awaited.persisted, awaited.searchable) == (False, False)

    async def test_statistics_are_counted_and_every_part_is_asked(
        self, bus: Bus, bus_settings: BusSettings, settings: MemorySettings
    ) -> None:
        async with actor(bus_settings, settings):
            (stored,) = await bus.publish_batch([note(1)])
            await persisted(bus, stored.event_id)
            stats = await bus.ask(subjects.MEMORY_STATS, StatsRequest())
            assert (stats.episodes, stats.lessons, stats.concepts, stats.working, stats.persisted_seq) == (1, 0, 0, 0, stored.seq)
            assert stats.messages == {"episode": {"nexus": 1}}
            memories = {"working_memory", "episodic_memory", "semantic_memory", "consolidation_engine", "continuity_manager"}
            parts = {"postgresql", "pgvector", "redis", *memories, "integrated_graph_memory"}
            assert {name for name, part in stats.parts.items() if part.status == "healthy"} == parts
            assert stats.queries["insert_episodes"].count == stats.queries["insert_episodes"].buckets["10"] >= 1


class TestMiniLMInTheActor:
    async def test_what_was_said_is_found_by_meaning_and_await_tells_when(
        self, bus: Bus, bus_settings: BusSettings, settings: MemorySettings
    ) -> None:
        async with actor(bus_settings, msgspec.structs.replace(settings, embedding="minilm")):
            text = "The database became slow because an index was missing"
            stored = await bus.publish(subjects.EPISODE, Action(action_type="note", action_details={"text": text}), agent="nexus")
            await bus.publish(subjects.EPISODE, Action(action_type="note", action_details={"text": "We had pasta for lunch"}), agent="aria")
            awaited = await bus.ask(subjects.MEMORY_AWAIT, Await(id=stored.event_id, until="searchable", timeout_s=20), timeout_s=25)
            assert awaited.searchable
            found = await bus.ask(subjects.MEMORY_SEARCH, SearchRequest(query="Postgres performance trouble", mode="vector"))
            assert (found.results[0].id, found.results[0].ranks.vector) == (stored.event_id, 1)


class TestPoison:
    async def test_it_is_buried_with_its_reason_and_the_rest_of_its_batch_is_persisted(
        self, bus: Bus, bus_settings: BusSettings, settings: MemorySettings
    ) -> None:
        good = [note(n) for n in range(20)]
        too_long = Outgoing(row=subjects.EPISODE, body=Action(action_type="note"), tokens={"agent": "nexus"}, msg_id="x" * 300)
        await bus.publish_batch([*good[:7], too_long, *good[7:]])
        await bus.js.publish(bus.wire(subjects.EPISODE.subject(agent="nexus")), b'{"action_type": 5}')
        await bus.js.publish(bus.wire(subjects.EPISODE.subject(agent="nexus")), b'{"action_type": "x", "action_details": ' + b"[" * 5_000)
        last = (await bus.publish_batch([note(99)]))[0]
        async with actor(bus_settings, settings):
            await persisted(bus, last.event_id)
            letters = await dead_letters(bus, 3)
        assert await all_ids(settings.postgres_dsn) == [f"note-{n}" for n in range(20)] + ["note-99"]
        reasons = {letter.stream_seq: letter.reason for letter in letters}
        assert "character varying(255)" in reasons[8]
        assert "$.action_type" in reasons[22]
        assert set(reasons) == {8, 22, 23}

    async def test_nul_is_replaced_and_stored(self, bus: Bus, bus_settings: BusSettings, settings: MemorySettings) -> None:
        async with actor(bus_settings, settings):
            stored = await bus.publish(subjects.EPISODE, Action(action_type="n\0", action_details={"k\0": "v\0"}), agent="nexus")
            await persisted(bus, stored.event_id)
            got = await bus.ask(subjects.MEMORY_GET, ById(id=stored.event_id))
            assert (got.action_type, got.action_details) == ("n\ufffd", {"k\ufffd": "v\ufffd"})

    async def test_an_id_with_other_content_is_buried_and_the_first_stays(
        self, bus: Bus, settings: MemorySettings, bus_settings: BusSettings
    ) -> None:
        """Beyond the server's window of duplicates; the window here is short, so that none of this waits for it."""
        short = msgspec.structs.replace(bus_settings, duplicate_window_s=0.1)
        await declare(short)

        async def say(text: str) -> int:
            while True:
                body = Action(action_type="note", action_details={"text": text})
                stored = await bus.publish(subjects.EPISODE, body, msg_id="same", agent="nexus")
                if not stored.duplicate:
                    return stored.seq
                await asyncio.sleep(0.05)

        await say("first")
        await say("first")
        third = await say("other")
        async with actor(bus_settings, settings):
            (letter,) = await dead_letters(bus, 1)
            got = await bus.ask(subjects.MEMORY_GET, ById(id="same"))
        assert (letter.stream_seq, "other content" in letter.reason) == (third, True)
        assert (got.action_details, got.stream_seq) == ({"text": "first"}, 1)


class TestOnce:
    async def test_actors_that_are_killed_again_and_again_lose_and_double_nothing(
        self, bus: Bus, bus_settings: BusSettings, settings: MemorySettings
    ) -> None:
        quick = msgspec.structs.replace(settings, batch_len_max=50)
        for start in range(0, 600, 200):
            await bus.publish_batch([note(n) for n in range(start, start + 200)])
            killed = asyncio.create_task(run(bus_settings, quick, lambda: None, asyncio.Event()))
            await some_rows(settings.postgres_dsn, start + 1)
            killed.cancel()
            await asyncio.gather(killed, return_exceptions=True)
        async with actor(bus_settings, quick):
            for n in (199, 399, 599):
                await persisted(bus, f"note-{n}")
            async with asyncio.timeout(20):
                while len(await all_ids(settings.postgres_dsn)) < 600:
                    await asyncio.sleep(0.05)
        assert await all_ids(settings.postgres_dsn) == [f"note-{n}" for n in range(600)]


async def everything(dsn: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("SELECT * FROM memory_system.episodes ORDER BY id")
    await connection.close()
    return rows


async def some_rows(dsn: str, count: int) -> None:
    """Return when there are at least so many."""
    async with asyncio.timeout(20):
        while True:
            try:
                if len(await all_ids(dsn)) >= count:
                    return
            except asyncpg.UndefinedTableError:
                pass  # not migrated yet
            await asyncio.sleep(0.005)


class TestPostgresAway:
    async def test_what_comes_meanwhile_is_persisted_when_it_is_back(
        self, bus: Bus, bus_settings: BusSettings, settings: MemorySettings, tmp_path: Path
    ) -> None:
        server = PostgresServer(tmp_path / "postgres", tmp_path / "postgres.log")
        await server.start()
        own = msgspec.structs.replace(settings, postgres_dsn=server.url)
        try:
            async with actor(bus_settings, own):
                await bus.publish_batch([note(n) for n in range(10)])
                await persisted(bus, "note-9")
                await server.stop()
                await bus.publish_batch([note(n) for n in range(10, 20)])
                await refused_while_away(lambda: bus.ask(subjects.MEMORY_GET, ById(id="note-1")))
                stats = await bus.ask(subjects.MEMORY_STATS, StatsRequest())
                assert (stats.parts["postgresql"].status, stats.parts["redis"].status) == ("unhealthy", "healthy")
                await server.start()
                await arrives(bus, "note-19")
                assert await all_ids(server.url) == [f"note-{n}" for n in range(20)]
                assert await entries(bus, [subjects.DEAD_LETTER.wildcard], stream=subjects.DEAD) == []
        finally:
            await server.stop()


async def refused_while_away(ask: Callable[[], Awaitable[Any]]) -> None:
    with pytest.raises((Refused, Unavailable)) as refused:
        await ask()
    assert refused.value.problem().status == 503


async def arrives(bus: Bus, ident: str) -> None:
    """Return when the event is persisted, PostgreSQL being on its way back."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await persisted(bus, ident)
            except (Refused, Unavailable):
                await asyncio.sleep(0.1)
