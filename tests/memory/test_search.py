"""Search against an oracle in Python: every filter, in both arms, over a random corpus; and the cache that is never stale."""

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from pgvector import HalfVector

from bus.errors import Refused
from memory.cache import Cache
from memory.database import Database
from memory.embedder import Embedder
from memory.embedding import Embedding
from memory.episode_row import EpisodeRow
from memory.search import Search
from memory.settings import MemorySettings
from memory.spaces import Space
from schemas.memory import SearchRequest
from tests.memory.conftest import START
from tests.memory.word_model import WORDS, embed_all

MakeRow = Callable[..., EpisodeRow]
Remember = Callable[[Sequence[EpisodeRow]], Any]

CONCEPT = "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000"


def passes(row: EpisodeRow, asked: SearchRequest) -> bool:
    """The oracle: what the filters mean."""
    tags = set(msgspec.json.decode(row.tags))
    return (
        row.kind in asked.kinds
        and asked.agent_id in {None, row.agent_id}
        and set(asked.tags) <= tags
        and row.importance_score >= (asked.importance_min or 0)
        and (asked.since is None or row.timestamp >= asked.since)
        and (asked.until is None or row.timestamp <= asked.until)
        and (not isinstance(asked.as_of, datetime) or row.recorded_at <= asked.as_of)
        and (not isinstance(asked.as_of, int) or row.stream_seq <= asked.as_of)
    )


def random_row(make_row: MakeRow, rng: random.Random, seq: int) -> EpisodeRow:
    return make_row(
        seq,
        " ".join(rng.choices(WORDS, k=3)),
        agent=rng.choice(["nexus", "aria"]),
        tags=rng.sample(["x", "y", "z"], rng.randint(0, 3)),
        importance_score=rng.choice([0.1, 0.5, 0.9]),
        timestamp=START + timedelta(minutes=rng.randint(-30, 30)),
    )


def random_request(rng: random.Random, mode: Any) -> SearchRequest:
    def maybe(value: Any) -> Any:
        return value if rng.random() < 0.4 else None

    return SearchRequest(
        query=" ".join(rng.sample(WORDS, 2)),
        mode=mode,
        agent_id=maybe(rng.choice(["nexus", "aria"])),
        tags=rng.sample(["x", "y", "z"], rng.choice([0, 0, 1, 2])),
        importance_min=maybe(rng.choice([0.1, 0.5, 0.9])),
        since=maybe(START + timedelta(minutes=rng.randint(-30, 30))),
        until=maybe(START + timedelta(minutes=rng.randint(-30, 30))),
        as_of=maybe(rng.choice([START + timedelta(seconds=rng.randint(0, 120)), rng.randint(0, 120)])),
        limit=200,
    )


class TestFilters:
    @pytest.mark.parametrize("exact_len_max", [10_000, 1])
    @pytest.mark.parametrize("mode", ["text", "vector", "hybrid"])
    async def test_both_arms_find_what_the_oracle_finds_and_nothing_else(
        self,
        database: Database,
        cache: Cache,
        embedding: Embedding,
        space: Space,
        embedder: Embedder,
        settings: MemorySettings,
        make_row: MakeRow,
        remember: Remember,
        mode: str,
        exact_len_max: int,
    ) -> None:
        rng = random.Random(f"{mode} {exact_len_max}")
        rows = [random_row(make_row, rng, seq) for seq in range(1, 121)]
        await remember(rows)
        await embed_all(embedder)
        search = Search(database, cache, embedding, space, msgspec.structs.replace(settings, exact_len_max=exact_len_max))
        for _ in range(40):
            asked = random_request(rng, mode)
            terms = set(asked.query.split())
            wanted = {r.episode_id for r in rows if passes(r, asked) and (mode != "text" or terms & set(r.content.split()))}
            assert {hit.id for hit in (await search.find(asked)).results} == wanted, asked

    async def test_the_index_finds_as_many_as_asked_for_however_narrow_the_filter(
        self,
        database: Database,
        cache: Cache,
        embedding: Embedding,
        space: Space,
        embedder: Embedder,
        settings: MemorySettings,
        make_row: MakeRow,
        remember: Remember,
    ) -> None:
        rng = random.Random("nearest")
        rows = [random_row(make_row, rng, seq) for seq in range(1, 201)]
        await remember(rows)
        await embed_all(embedder)
        indexed = Search(database, cache, embedding, space, msgspec.structs.replace(settings, exact_len_max=1, arm_len_min=1))
        for _ in range(40):
            asked = msgspec.structs.replace(random_request(rng, "vector"), limit=4)
            wanted = {r.episode_id for r in rows if passes(r, asked)}
            found = [hit.id for hit in (await indexed.find(asked)).results]
            assert len(found) == min(4, len(wanted)), asked
            assert set(found) <= wanted, asked

    async def test_vectors_stand_in_the_order_of_their_cosine(
        self, database: Database, search: Search, embedder: Embedder, make_row: MakeRow, remember: Remember
    ) -> None:
        await remember([make_row(1, "alpha delta"), make_row(2, "alpha"), make_row(3, "delta delta delta alpha")])
        await embed_all(embedder)
        found = (await search.find(SearchRequest(query="alpha", mode="vector"))).results
        ranked = [(hit.id, hit.ranks.vector, hit.ranks.text) for hit in found]
        assert ranked == [
            ("event-2", 1, None),
            ("event-1", 2, None),
            ("event-3", 3, None),
        ]


class TestFinding:
    async def test_terms_are_joined_by_or_and_quotes_do_no_harm(self, search: Search, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(1, "the alpha of it"), make_row(2, "nothing")])
        for query in ("what about alpha and bravo?", "alpha' | !& <-> \\ :*", "ALPHAS"):
            assert [hit.id for hit in (await search.find(SearchRequest(query=query, mode="text"))).results] == ["event-1"], query

    async def test_a_question_of_stop_words_finds_nothing_by_text(self, search: Search, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(1, "the of it")])
        assert (await search.find(SearchRequest(query="the of it?", mode="text"))).results == []

    async def test_action_type_and_tags_are_found_whole_and_in_parts(self, search: Search, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(1, action_type="consensus.vote", tags=["db-fix"]), make_row(2)])
        for query in ("consensus.vote", "votes", "db-fix", "fixes"):
            assert [hit.id for hit in (await search.find(SearchRequest(query=query, mode="text"))).results] == ["event-1"], query

    async def test_what_has_no_vector_yet_is_found_by_text(
        self, database: Database, search: Search, make_row: MakeRow, remember: Remember
    ) -> None:
        await remember([make_row(1, "alpha")])
        (hit,) = (await search.find(SearchRequest(query="alpha"))).results
        assert (hit.ranks.text, hit.ranks.vector) == (1, None)

    async def test_concepts_are_found_by_both_arms_and_only_where_asked(
        self, search: Search, embedder: Embedder, make_concept: MakeRow, remember: Remember
    ) -> None:
        await remember([make_concept(1, CONCEPT, "alpha", "alpha bravo", confidence_score=0.6)])
        await embed_all(embedder)
        (hit,) = (await search.find(SearchRequest(query="alpha"))).results
        assert (hit.kind, hit.id, hit.text, hit.ranks.text, hit.ranks.vector) == ("concept", CONCEPT, "alpha: alpha bravo", 1, 1)
        for other in ({"kinds": ["episode"]}, {"agent_id": "nexus"}, {"tags": ["x"]}, {"importance_min": 0.7}):
            assert (await search.find(SearchRequest(query="alpha", **other))).results == []

    async def test_of_a_concept_the_version_is_found_that_stood_then(
        self, search: Search, make_concept: MakeRow, remember: Remember
    ) -> None:
        await remember([make_concept(1, CONCEPT, "alpha", "bravo"), make_concept(3, CONCEPT, "alpha", "charlie")])
        for as_of, text in (
            (None, "alpha: charlie"),
            (3, "alpha: charlie"),
            (2, "alpha: bravo"),
            (START.replace(second=2), "alpha: bravo"),
        ):
            (hit,) = (await search.find(SearchRequest(query="alpha", mode="text", as_of=as_of))).results
            assert (hit.id, hit.text) == (CONCEPT, text)
        assert (await search.find(SearchRequest(query="bravo", mode="text"))).results == []


class TestCache:
    async def test_the_second_answer_comes_from_the_cache_until_something_is_committed(
        self, search: Search, embedder: Embedder, make_row: MakeRow, make_concept: MakeRow, remember: Remember
    ) -> None:
        asked = SearchRequest(query="alpha")

        async def answer() -> tuple[bool, list[str]]:
            results = await search.find(asked)
            return results.cached, [hit.id for hit in results.results]

        await remember([make_row(1, "alpha")])
        assert [await answer(), await answer()] == [(False, ["event-1"]), (True, ["event-1"])]
        await remember([make_row(2, "alpha alpha")])
        assert sorted((await answer())[1]) == ["event-1", "event-2"]
        assert (await answer())[0]
        await embed_all(embedder)
        assert not (await answer())[0]
        await remember([make_concept(3, CONCEPT, "alpha", "alpha")])
        assert len((await answer())[1]) == 3

    async def test_another_limit_is_another_question(self, search: Search, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(1, "alpha"), make_row(2, "alpha")])
        assert len((await search.find(SearchRequest(query="alpha", mode="text"))).results) == 2
        assert len((await search.find(SearchRequest(query="alpha", mode="text", limit=1))).results) == 1


class TestSpace:
    async def test_without_an_embedding_hybrid_is_text_and_vector_is_refused(
        self, database: Database, cache: Cache, settings: MemorySettings, make_row: MakeRow, remember: Remember
    ) -> None:
        await remember([make_row(1, "alpha")])
        search = Search(database, cache, None, None, settings)
        assert len((await search.find(SearchRequest(query="alpha"))).results) == 1
        with pytest.raises(Refused) as refused:
            await search.find(SearchRequest(query="alpha", mode="vector"))
        assert refused.value.problem().errors[0].path == "$.mode"

    def test_half_precision_keeps_what_it_is_given(self) -> None:
        assert HalfVector([0.5, -0.25]).to_list() == [0.5, -0.25]
