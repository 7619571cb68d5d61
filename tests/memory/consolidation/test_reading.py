"""What consolidation reads: the sources that wait, in their order, with their vectors; and what is like them."""

from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import numpy as np
import pytest_asyncio
from pgvector import HalfVector

from bus import subjects
from memory import embedder
from memory.consolidation import run
from memory.consolidation.likeness import profiles
from memory.consolidation.reading import COMPARED_SOURCES_MAX, Reading
from memory.database import Database
from memory.episode_row import episode_row
from memory.recalls import Recalls
from memory.settings import MemorySettings
from memory.spaces import claim_space
from schemas.concepts import ConsolidateRequest
from schemas.entry import Entry
from schemas.learning import Lesson
from schemas.memory import Ranks, SearchHit, SearchRequest, SearchResults
from tests.memory.conftest import START, MakeRow, Remember
from tests.memory.consolidation.told import DEPLOYS, ODD, QUEUES, said

A = "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000"
SECOND_PASSAGE = """
INSERT INTO memory_system.passages
    (kind, owner, part, content, labels, agent_id, timestamp, importance_score, tags, stream_seq, recorded_at)
SELECT kind, owner, 1, content, labels, agent_id, timestamp, importance_score, tags, stream_seq, recorded_at
FROM memory_system.passages
WHERE owner = 'event-1'
"""
ALL = ConsolidateRequest()
NOW = START + timedelta(days=2)


@pytest_asyncio.fixture
async def reading(database: Database) -> AsyncIterator[Reading]:
    async with database.connection() as connection:
        yield Reading(database, connection)


async def waiting(reading: Reading, asked: ConsolidateRequest = ALL, len_max: int = 10) -> list[str]:
    return [source.id for source in await reading.waiting(asked, NOW, len_max)]


def found(*ids: str) -> SearchResults:
    fields = {"kind": "episode", "agent_id": "a", "timestamp": "t", "action_type": "t", "text": "", "action_details": {}, "tags": []}
    fields |= {"importance_score": 0.5, "source_episodes": [], "score": 1.0, "ranks": Ranks(text=1, vector=None)}
    return SearchResults(results=[SearchHit(id=ident, **fields) for ident in ids], next_before=None, took_ms=0, cached=False)


class TestWaiting:
    async def test_the_most_important_that_is_left_of_it_comes_first(self, reading: Reading, make_row: MakeRow, remember: Remember) -> None:
        old = START - timedelta(days=300)
        rows = [make_row(1, importance_score=0.9, timestamp=old), make_row(2, importance_score=0.3), make_row(3, importance_score=0.5)]
        await remember(rows)
        assert await waiting(reading) == ["event-3", "event-2", "event-1"]
        assert await waiting(reading, len_max=1) == ["event-3"]

    async def test_a_recall_brings_one_forward(
        self, database: Database, settings: MemorySettings, reading: Reading, make_row: MakeRow, remember: Remember
    ) -> None:
        await remember([make_row(1), make_row(2), make_row(3)])
        recalls = Recalls(database, settings)
        recalls.note(SearchRequest(query="x"), found("event-2", "never-seen"))
        await recalls.write(NOW)
        assert (await waiting(reading))[0] == "event-2"

    async def test_only_of_the_agent_and_from_the_time_that_is_asked_for(
        self, reading: Reading, make_row: MakeRow, remember: Remember
    ) -> None:
        await remember([make_row(1), make_row(2, agent="aria"), make_row(5, agent="aria")])
        assert set(await waiting(reading, ConsolidateRequest(agent_id="aria"))) == {"event-2", "event-5"}
        assert await waiting(reading, ConsolidateRequest(since=START + timedelta(seconds=4))) == ["event-5"]

    async def test_a_source_has_no_speaker_before_its_text_and_knows_what_it_refers_to(
        self, reading: Reading, make_row: MakeRow, remember: Remember
    ) -> None:
        details = {"text": "we agreed", "speaker": "Ada", "outcome": "failure"}
        await remember([make_row(1, action_details=details, cross_reference=A, session_id="s")])
        lesson = Lesson(topic="pools", content="Keep them small.", source_episodes=["event-1"])
        entry = Entry(
            seq=2, time=START, event_id="lesson-1", subject=subjects.LESSON.subject(agent="aria"), name=subjects.LESSON.name,
            tokens={"agent": "aria"}, body=lesson,
        )  # fmt: skip
        await remember([episode_row(entry)])
        by_id = {source.id: source for source in await reading.waiting(ALL, NOW, 10)}
        episode = by_id["event-1"]
        assert (episode.text, episode.outcome, episode.links, episode.session) == ("we agreed", "failure", (A,), "s")
        assert (by_id["lesson-1"].text, by_id["lesson-1"].links) == ("pools\nKeep them small.", ("event-1",))

    async def test_its_vector_is_the_mean_of_its_passages_in_the_current_space_and_of_length_1(
        self, database: Database, reading: Reading, make_row: MakeRow, remember: Remember
    ) -> None:
        space = await claim_space(database, "test", 2)
        await remember([make_row(1), make_row(2)])
        async with database.connection() as connection:
            await connection.execute(SECOND_PASSAGE)
            rows = await connection.fetch("SELECT id FROM memory_system.passages WHERE owner = 'event-1' ORDER BY part")
        await database.rows(embedder.PUT, space.id, [row["id"] for row in rows], [HalfVector([0, 2]), HalfVector([2, 0])])
        vectors = {source.id: source.vector for source in await reading.waiting(ALL, NOW, 10)}
        assert vectors["event-2"] is None
        assert np.allclose(vectors["event-1"], [0.5**0.5, 0.5**0.5])


class TestLike:
    async def test_those_alone_are_found_by_their_terms(
        self, database: Database, reading: Reading, make_row: MakeRow, remember: Remember
    ) -> None:
        await remember([make_row(1, DEPLOYS[0]), make_row(2, ODD), make_row(3, DEPLOYS[1])])
        terms = [msgspec.json.encode(profile.key_terms).decode() for profile in profiles(said(DEPLOYS[0], ODD))]
        await database.rows(run.EXAMINED, ["event-1", "event-2"], terms)
        new = await reading.waiting(ALL, NOW, 10)
        assert [source.id for source in new] == ["event-3"]
        like = await reading.alone(ALL, profiles(new))
        assert [(source.id, source.is_new) for source in like] == [("event-1", False)]
        assert await reading.alone(ConsolidateRequest(agent_id="aria"), profiles(new)) == []

    async def test_standing_concepts_are_found_by_their_terms_with_a_few_of_their_sources(
        self, reading: Reading, make_row: MakeRow, make_concept: MakeRow, remember: Remember
    ) -> None:
        many = [f"event-{n}" for n in range(1, 21)]
        await remember([make_row(n) for n in range(1, 21)])
        await remember(
            [make_concept(21, A, "Deploy failures", DEPLOYS[0], source_episodes=many), make_concept(22, A[:-1] + "1", "Lunch", "Pasta.")]
        )
        await remember([make_row(23, DEPLOYS[1]), make_row(24, QUEUES[0])])
        new = [s for s in await reading.waiting(ALL, NOW, 30) if s.id in {"event-23", "event-24"}]
        (standing,) = await reading.standings(profiles(new))
        assert (standing.concept, standing.told, len(standing.source_ids)) == ("Deploy failures", DEPLOYS[0], 20)
        assert {s.id for s in standing.sources} == set(many[-COMPARED_SOURCES_MAX:])
