"""Recall against an oracle in Python: BM25, neighbours, long texts, and what an answer was at any position of the log."""

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from memory.arrivals import Arrivals
from memory.cache import Cache
from memory.database import Database, Statement
from memory.embedder import Embedder
from memory.embedding import Embedding
from memory.episode_row import EpisodeRow
from memory.search import Search
from memory.settings import MemorySettings
from memory.spaces import Space
from schemas.memory import Await, SearchHit, SearchRequest
from tests.memory.conftest import START
from tests.memory.word_model import WORDS, WordModel, embed_all

MakeRow = Callable[..., EpisodeRow]
Remember = Callable[[Sequence[EpisodeRow]], Any]
K1, B = 1.2, 0.5


def terms_of(row: EpisodeRow) -> list[str]:
    return [*row.content.split(), *dict.fromkeys(row.labels.split())]


def bm25(query: str, rows: Sequence[EpisodeRow]) -> dict[str, float]:
    """Okapi BM25 over these rows, a length being the number of distinct terms."""
    texts = {row.episode_id: terms_of(row) for row in rows}
    average = sum(len(set(text)) for text in texts.values()) / len(texts)
    scores: dict[str, float] = {}
    for term in set(query.split()):
        having = [name for name, text in texts.items() if term in text]
        rareness = math.log(1 + (len(texts) - len(having) + 0.5) / (len(having) + 0.5))
        for name in having:
            tf = texts[name].count(term)
            part = rareness * tf * (K1 + 1) / (tf + K1 * (1 - B + B * len(set(texts[name])) / average))
            scores[name] = scores.get(name, 0) + part
    return scores


def some_rows(make_row: MakeRow, rng: random.Random, count: int) -> list[EpisodeRow]:
    def row(seq: int) -> EpisodeRow:
        text = " ".join(rng.choices(WORDS, weights=range(1, 7), k=rng.randint(1, 8)))
        return make_row(seq, text, agent=rng.choice(["nexus", "aria"]), tags=rng.sample(["x", "y"], rng.randint(0, 2)))

    return [row(seq) for seq in range(1, count + 1)]


def told(hits: Sequence[SearchHit]) -> list[Any]:
    return [(hit.id, hit.score, hit.ranks) for hit in hits]


class TestText:
    @pytest.mark.parametrize("agent", [None, "nexus"])
    async def test_scores_are_those_of_bm25_whatever_the_filter(
        self, search: Search, make_row: MakeRow, remember: Remember, agent: str | None
    ) -> None:
        """Rareness and lengths are the agent's (or everybody's), so a filter leaves scores as they are."""
        rng = random.Random(f"bm25 {agent}")
        rows = some_rows(make_row, rng, 60)
        await remember(rows)
        seen = [row for row in rows if agent in {None, row.agent_id}]
        for _ in range(10):
            query, tags = " ".join(rng.sample(WORDS, 3)), rng.choice([[], ["x"]])
            wanted = bm25(query, seen)
            passing = {row.episode_id for row in seen if set(tags) <= set(msgspec.json.decode(row.tags))}
            asked = SearchRequest(query=query, mode="text", agent_id=agent, tags=tags, limit=200)
            found = {hit.id: hit.score for hit in (await search.find(asked)).results}
            assert found == pytest.approx({name: score for name, score in wanted.items() if name in passing}, abs=1e-6)

    async def test_equal_texts_stand_in_one_order_the_newest_first(self, search: Search, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(seq, "alpha bravo") for seq in range(1, 20)])
        found = [hit.id for hit in (await search.find(SearchRequest(query="bravo alpha", mode="text", limit=50))).results]
        assert found == [f"event-{seq}" for seq in range(19, 0, -1)]

    async def test_of_a_very_long_question_the_first_terms_are_looked_for(
        self, database: Database, cache: Cache, settings: MemorySettings, make_row: MakeRow, remember: Remember
    ) -> None:
        await remember([make_row(1, "alpha"), make_row(2, "zulu")])
        search = Search(database, cache, None, None, msgspec.structs.replace(settings, text_terms_max=2))
        found = (await search.find(SearchRequest(query="zulu bravo alpha"))).results
        assert [hit.id for hit in found] == ["event-2"]

    async def test_how_often_a_term_stands_in_a_text_is_read_exactly(self, database: Database) -> None:
        sql = """SELECT n FROM generate_series(1, 255) AS n
            WHERE memory_system.term_frequency(to_tsvector('english', repeat('bird ', n)), 'bird') <> n"""
        assert await database.rows(Statement("test", sql)) == []

    async def test_statistics_follow_every_change_of_the_passages(
        self, database: Database, search: Search, make_row: MakeRow, remember: Remember
    ) -> None:
        rows = some_rows(make_row, random.Random("statistics"), 30)
        await remember(rows[:20])
        await remember(rows[20:])
        await database.rows(Statement("test", "DELETE FROM memory_system.passages WHERE owner = 'event-7'"))
        ended = "UPDATE memory_system.passages SET ended_seq = 30, ended_at = recorded_at WHERE owner = 'event-8'"
        await database.rows(Statement("test", ended))
        left = [row for row in rows if row.episode_id not in {"event-7", "event-8"}]
        found = (await search.find(SearchRequest(query="alpha foxtrot", mode="text", limit=200))).results
        assert {hit.id: hit.score for hit in found} == pytest.approx(bm25("alpha foxtrot", left), abs=1e-6)
        await database.rows(Statement("test", "DELETE FROM memory_system.passages"))
        assert await database.rows(Statement("test", "SELECT FROM memory_system.corpora")) == []


class TestAsOf:
    @pytest.mark.parametrize("mode", ["text", "vector", "hybrid"])
    async def test_an_answer_as_of_a_position_is_the_answer_given_then(
        self, database: Database, search: Search, embedder: Embedder, make_row: MakeRow, remember: Remember, mode: Any
    ) -> None:
        """Scores and ranks too, although since then terms have become commoner and texts shorter."""
        rng = random.Random(f"as of {mode}")
        asked = [SearchRequest(query=" ".join(rng.sample(WORDS, 2)), mode=mode, agent_id=agent) for agent in (None, "nexus", "aria")]
        rows = some_rows(make_row, rng, 60)
        given = {}
        for start in range(0, 60, 10):
            await remember(rows[start : start + 10])
            await embed_all(embedder)
            for n, request in enumerate(asked):
                given[start + 10, n] = told((await search.find(request)).results)
        for (seq, n), answer in given.items():
            at = START + timedelta(seconds=seq)
            for as_of in (seq, at):
                request = msgspec.structs.replace(asked[n], as_of=as_of)
                assert told((await search.find(request)).results) == answer, (seq, n)


class TestNeighbours:
    async def turns(self, remember: Remember, make_row: MakeRow, *texts: str, **fields: Any) -> None:
        await remember([make_row(seq, text, session_id=fields.get("session_id", "s")) for seq, text in enumerate(texts, 1)])

    async def test_the_episode_beside_a_hit_comes_in_by_it(
        self, database: Database, search: Search, make_row: MakeRow, remember: Remember
    ) -> None:
        await self.turns(remember, make_row, "zulu", "what about alpha?", "yesterday", "zulu", "zulu")
        found = (await search.find(SearchRequest(query="alpha"))).results
        assert [hit.id for hit in found] == ["event-2", "event-1", "event-3", "event-4"]
        assert (found[0].why.neighbour, found[1].why.text) == (0, 0)
        assert found[1].score == found[1].why.neighbour == found[2].why.neighbour
        assert 0 < found[3].score < found[1].score < found[0].score
        assert found[1].ranks.text is None

    async def test_one_arm_alone_shows_what_it_found_itself(self, search: Search, make_row: MakeRow, remember: Remember) -> None:
        await self.turns(remember, make_row, "zulu", "alpha", "zulu")
        assert [hit.id for hit in (await search.find(SearchRequest(query="alpha", mode="text"))).results] == ["event-2"]

    async def test_only_the_same_agent_and_session_are_beside_it(self, search: Search, make_row: MakeRow, remember: Remember) -> None:
        rows = [
            make_row(1, "zulu", session_id="s", agent="aria"),
            make_row(2, "alpha", session_id="s"),
            make_row(3, "zulu", session_id="t"),
            make_row(4, "zulu"),
            make_row(5, "zulu", session_id="s"),
        ]
        await remember(rows)
        assert [hit.id for hit in (await search.find(SearchRequest(query="alpha"))).results] == ["event-2", "event-5"]

    async def test_without_a_session_nothing_is_beside_it(self, search: Search, make_row: MakeRow, remember: Remember) -> None:
        await self.turns(remember, make_row, "zulu", "alpha", "zulu", session_id=None)
        assert [hit.id for hit in (await search.find(SearchRequest(query="alpha"))).results] == ["event-2"]

    async def test_neighbours_pass_the_filters_too(self, search: Search, make_row: MakeRow, remember: Remember) -> None:
        await remember(
            [make_row(seq, text, session_id="s", tags=[tag]) for seq, text, tag in ((1, "zulu", "x"), (2, "alpha", "y"), (3, "zulu", "y"))]
        )
        assert [hit.id for hit in (await search.find(SearchRequest(query="alpha", tags=["y"]))).results] == ["event-2", "event-3"]
        early = SearchRequest(query="alpha", as_of=2)
        assert [hit.id for hit in (await search.find(early)).results] == ["event-2", "event-1"]

    async def test_a_long_text_leans_less_on_its_neighbours(self, search: Search, make_row: MakeRow, remember: Remember) -> None:
        long = " ".join(f"word{n}" for n in range(400))
        await self.turns(remember, make_row, long, "alpha", "short")
        found = (await search.find(SearchRequest(query="alpha"))).results
        assert [hit.id for hit in found] == ["event-2", "event-3", "event-1"]
        assert found[1].score > 3 * found[2].score

    async def test_an_echo_is_nobodys_neighbour(self, search: Search, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(1, "alpha", session_id="s"), make_row(2, session_id="s", action_details={})])
        assert [hit.id for hit in (await search.find(SearchRequest(query="alpha"))).results] == ["event-1"]


class TestLongTexts:
    async def test_a_long_text_is_one_hit_whole_by_its_best_part(
        self, search: Search, embedder: Embedder, make_row: MakeRow, remember: Remember
    ) -> None:
        parts = [" ".join([word] * 30) for word in ("bravo", "charlie", "alpha", "delta", "echo", "foxtrot", "bravo", "delta")]
        text = "\n\n".join(parts)
        await remember([make_row(1, text), make_row(2, "bravo alpha")])
        await embed_all(embedder)
        for mode in ("text", "vector", "hybrid"):
            found = (await search.find(SearchRequest(query="alpha", mode=mode))).results
            assert sorted(hit.id for hit in found) == ["event-1", "event-2"]
            assert {hit.text for hit in found} == {text, "bravo alpha"}

    async def test_a_long_text_is_announced_when_its_last_part_has_a_vector(
        self, database: Database, space: Space, settings: MemorySettings, make_row: MakeRow, remember: Remember
    ) -> None:
        embedding = Embedding(WordModel(), batch_len_max=1)
        arrivals = Arrivals(database, embeds=True, recheck_s=60)
        embedder = Embedder(database, embedding, space, arrivals, settings)
        await remember([make_row(1, "alpha " * 400)])
        waiting = asyncio.create_task(arrivals.wait(Await(id="event-1", until="searchable", timeout_s=60)))
        while await embedder.embed_some():
            (counted,) = await database.rows(Statement("test", "SELECT count(*) FROM memory_system.unembedded"))
            assert waiting.done() == (counted["count"] == 0)
        assert (await waiting).searchable
        embedding.close()


class TestPages:
    @pytest.fixture
    def shallow(self, database: Database, cache: Cache, embedding: Embedding, space: Space, settings: MemorySettings) -> Search:
        """Arms that reach no deeper at first than twice the page."""
        return Search(database, cache, embedding, space, msgspec.structs.replace(settings, arm_len_min=1))

    async def pages(self, search: Search, asked: SearchRequest, meanwhile: Callable[[], Any]) -> list[list[str]]:
        pages = []
        while True:
            page = await search.find(asked)
            pages.append([hit.id for hit in page.results])
            if page.next_before is None:
                return pages
            asked = msgspec.structs.replace(asked, before=page.next_before)
            await meanwhile()

    @pytest.mark.parametrize("mode", ["text", "vector", "hybrid"])
    async def test_pages_neither_repeat_nor_lose_hits_while_events_arrive(
        self, shallow: Search, embedder: Embedder, make_row: MakeRow, remember: Remember, mode: Any
    ) -> None:
        rng = random.Random(f"pages {mode}")
        rows = some_rows(make_row, rng, 90)
        await remember(rows)
        await embed_all(embedder)
        late = iter(range(91, 1_000))

        async def meanwhile() -> None:
            await remember([make_row(next(late), "alpha alpha bravo", session_id="late")])
            await embed_all(embedder)

        pages = await self.pages(shallow, SearchRequest(query="alpha bravo", mode=mode, limit=7), meanwhile)
        shown = [name for page in pages for name in page]
        wanted = {row.episode_id for row in rows if mode != "text" or {"alpha", "bravo"} & set(row.content.split())}
        assert len(shown) == len(set(shown))
        assert set(shown) == wanted
        assert all(pages)

    async def test_the_first_pages_are_the_beginning_of_a_longer_one(self, search: Search, make_row: MakeRow, remember: Remember) -> None:
        await remember(some_rows(make_row, random.Random("longer"), 50))
        asked = SearchRequest(query="alpha bravo charlie", mode="text")
        whole = [hit.id for hit in (await search.find(msgspec.structs.replace(asked, limit=200))).results]

        async def nothing() -> None:
            return

        pages = await self.pages(search, msgspec.structs.replace(asked, limit=8), nothing)
        assert [name for page in pages for name in page] == whole

    async def test_a_limit_finds_as_many_texts_however_many_parts_they_have(
        self, shallow: Search, make_row: MakeRow, remember: Remember
    ) -> None:
        long = "\n\n".join(["alpha " * 150] * 12)
        await remember([*(make_row(seq, long) for seq in range(1, 5)), *(make_row(seq, "bravo alpha") for seq in range(5, 11))])
        assert len((await shallow.find(SearchRequest(query="alpha", mode="text", limit=8))).results) == 8
