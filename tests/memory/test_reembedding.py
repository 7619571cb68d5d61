"""Reembedding from one model to another, over real HTTP, while searches go on in the old space and new episodes arrive."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
import pytest_asyncio

from bus.errors import Unavailable
from memory.arrivals import Arrivals
from memory.cache import Cache
from memory.database import Database, Statement
from memory.embedder import Embedder
from memory.embedding import Embedding, opened
from memory.episode_row import EpisodeRow
from memory.reembedding import Reembedding, line
from memory.search import Search
from memory.settings import MemorySettings
from memory.spaces import Space, SpaceMismatch, begin_space, claim_space
from schemas.memory import SearchRequest
from tests.memory.endpoint import DIMENSIONS, MODEL, Bag, Server, serving, vector

MakeRow = Callable[..., EpisodeRow]
Remember = Callable[[Sequence[EpisodeRow]], Any]

SETTINGS = MemorySettings(reconnect_pause_s=0.01)
WORDS = [f"word{n}" for n in range(40)]
PASSAGES = "memory_system.vectors AS v JOIN memory_system.passages AS p ON p.id = v.passage"
ALL = Statement("test", f"SELECT v.space, p.content, v.embedding FROM {PASSAGES}")
INDEX = Statement("test", "SELECT indisvalid FROM pg_index WHERE indexrelid = 'memory_system.vectors_nearest_2'::regclass")
SPOIL = Statement("test", "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'memory_system.vectors_nearest_2'::regclass")
QUEUE = Statement("test", "SELECT FROM memory_system.unembedded")
OTHERS = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
CUT = Statement("test", f"SELECT pg_terminate_backend(pid) FROM {OTHERS}")
STATES = Statement("test", "SELECT model, state FROM memory_system.spaces ORDER BY id")


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as started:
        yield started


@pytest_asyncio.fixture
async def new(server: Server) -> AsyncIterator[Embedding]:
    async with opened(server.settings(embedding_request_len_max=7, embedding_requests_max=4)) as port:
        assert port is not None
        yield port


@pytest_asyncio.fixture
async def old(database: Database) -> AsyncIterator[Embedding]:
    port = Embedding(Bag("old"))
    yield port
    port.close()


@pytest_asyncio.fixture
async def cache() -> AsyncIterator[Cache]:
    """None: every answer is made anew."""
    away = Cache("redis://127.0.0.1:1", "", 0.1, 1)
    yield away
    await away.close()


def says(n: int) -> str:
    rng = random.Random(n)
    return " ".join([f"episode{n}", *rng.choices(WORDS, k=4)])


async def work_off(database: Database, embedding: Embedding, space: Space, settings: MemorySettings) -> None:
    embedder = Embedder(database, embedding, space, Arrivals(database, embeds=True, recheck_s=1), settings)
    while await embedder.embed_some():
        pass


class Mesh:
    """The memory as the actor has it, in one space."""

    def __init__(self, database: Database, cache: Cache, embedding: Embedding, model: str, settings: MemorySettings) -> None:
        self._database = database
        self._embedding = embedding
        self._model = model
        self._settings = settings
        self._cache = cache
        self.space = Space(0, "", 0)

    async def start(self) -> None:
        self.space = await claim_space(self._database, self._embedding.model, self._embedding.dimensions)
        self._search = Search(self._database, self._cache, self._embedding, self.space, self._settings)

    async def embed(self) -> None:
        await work_off(self._database, self._embedding, self.space, self._settings)

    async def require_whole_answers(self, known: Sequence[int], rng: random.Random) -> None:
        """A question is answered in the order of the cosines of this model, with each episode once: no other space is in it."""
        query = " ".join(rng.sample(WORDS, 3))
        limit = 200 if self._settings.exact_len_max > 200 else 10
        found = (await self._search.find(SearchRequest(query=query, mode="vector", limit=limit))).results
        wanted = sorted(known, key=lambda n: -cosine(says(n), query, self._model))[:limit]
        got = [int(hit.id.removeprefix("event-")) for hit in found]
        assert len(got) == len(set(got)) == min(limit, len(known)), "each episode once"
        gaps = [abs(cosine(says(a), query, self._model) - cosine(says(b), query, self._model)) for a, b in zip(got, wanted, strict=True)]
        assert max(gaps) < 0.01, "half precision may swap neighbours, and nothing else"


def cosine(a: str, b: str, model: str) -> float:
    x, y = np.array(vector(a, model=model)), np.array(vector(b, model=model))
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


@pytest_asyncio.fixture(params=[10_000, 1], ids=["exact", "by index"])
async def mesh(request: Any, database: Database, cache: Cache, old: Embedding, settings: MemorySettings) -> Mesh:
    running = Mesh(database, cache, old, "old", msgspec.structs.replace(settings, exact_len_max=request.param, arm_len_min=1))
    await running.start()
    return running


@pytest_asyncio.fixture
async def filled(database: Database, old: Embedding, settings: MemorySettings, make_row: MakeRow, remember: Remember) -> None:
    """A hundred episodes in the old space."""
    space = await claim_space(database, "old", DIMENSIONS)
    await remember([make_row(n, says(n)) for n in range(1, 101)])
    await work_off(database, old, space, settings)


async def states(database: Database) -> list[tuple[str, str]]:
    return [(r["model"], r["state"]) for r in await database.rows(STATES)]


async def require_all_in_new_space(database: Database, count: int) -> None:
    rows = [r for r in await database.rows(ALL) if r["space"] == 2]
    assert len(rows) == count
    for row in rows:
        got = np.array(row["embedding"].to_list())
        wanted = np.array(vector(row["content"]))
        assert abs(np.linalg.norm(got) - 1) < 1e-3
        assert got @ wanted / np.linalg.norm(wanted) > 0.999, row["content"]


class TestOnLine:
    async def test_the_old_space_answers_until_the_new_one_is_claimed_and_nothing_is_left_out(
        self,
        database: Database,
        mesh: Mesh,
        cache: Cache,
        new: Embedding,
        server: Server,
        settings: MemorySettings,
        make_row: MakeRow,
        remember: Remember,
    ) -> None:
        rng = random.Random(11)
        known = list(range(1, 101))
        await remember([make_row(n, says(n)) for n in known])
        await mesh.embed()
        said: list[str] = []
        reembedding = asyncio.create_task(Reembedding(database, new, said.append, SETTINGS).run())
        while not reembedding.done():
            await remember([make_row(known[-1] + 1, says(known[-1] + 1))])
            known.append(known[-1] + 1)
            await mesh.embed()
            await mesh.require_whole_answers(known, rng)
        assert (await reembedding).state == "ready"
        late = known[-1] + 1
        await remember([make_row(late, says(late))])
        await mesh.embed()
        await mesh.require_whole_answers([*known, late], rng)
        assert await states(database) == [("old", "current"), (MODEL, "ready")]

        after = Mesh(database, cache, new, MODEL, msgspec.structs.replace(settings, exact_len_max=10_000))
        await after.start()
        await after.embed()
        await require_all_in_new_space(database, len(known) + 1)
        await after.require_whole_answers([*known, late], rng)
        assert await states(database) == [("old", "retired"), (MODEL, "current")]
        assert len([text for text in server.texts if text.startswith("episode")]) == len(known) + 1, "each was asked for once"

    async def test_a_database_that_was_never_embedded_is_filled_before_it_has_a_current_space(
        self, database: Database, new: Embedding, make_row: MakeRow, remember: Remember
    ) -> None:
        await remember([make_row(n, says(n)) for n in range(1, 21)])
        await Reembedding(database, new, lambda _: None, SETTINGS).run()
        assert await states(database) == [(MODEL, "ready")]
        await claim_space(database, MODEL, DIMENSIONS)
        assert await database.rows(QUEUE) == []
        assert len(await database.rows(ALL)) == 20


class TestGoingOn:
    async def test_what_was_done_before_it_was_ended_is_not_done_again(
        self, database: Database, filled: None, new: Embedding, server: Server
    ) -> None:
        server.faults.extend([None] * 5 + ["slow"] * 100)
        ended = asyncio.create_task(Reembedding(database, new, lambda _: None, SETTINGS).run())
        while len(server.requests) < 8:
            await asyncio.sleep(0)
        ended.cancel()
        await asyncio.wait({ended})
        server.faults.clear()
        answered = set(server.texts[:35])
        asked = len(server.texts)
        await Reembedding(database, new, lambda _: None, SETTINGS).run()
        again = [text for text in server.texts[asked:] if text in answered]
        assert len(again) <= 3 * 7, "only what was under way"
        await require_all_in_new_space(database, 100)
        await Reembedding(database, new, lambda _: None, SETTINGS).run()
        assert len(server.texts) == len(set(server.texts)) + len(again) + 21, "what is ready is not filled again"

    async def test_an_endpoint_that_goes_away_is_waited_for_and_that_is_said_once(
        self, database: Database, filled: None, new: Embedding, server: Server
    ) -> None:
        server.faults.extend([None] * 3 + [503] * 40)
        said: list[str] = []
        await Reembedding(database, new, said.append, SETTINGS).run()
        await require_all_in_new_space(database, 100)
        assert sum("503" in sentence for sentence in said) == 1

    async def test_connections_to_postgresql_that_are_lost_are_made_again(
        self, database: Database, filled: None, new: Embedding, server: Server
    ) -> None:
        server.gate = asyncio.Event()
        running = asyncio.create_task(Reembedding(database, new, lambda _: None, SETTINGS).run())
        while not server.requests:
            await asyncio.sleep(0)
        await database.rows(CUT)
        server.gate.set()
        assert (await running).state == "ready"
        await require_all_in_new_space(database, 100)

    async def test_an_index_that_was_left_half_made_is_made_again(self, database: Database, filled: None, new: Embedding) -> None:
        await Reembedding(database, new, lambda _: None, SETTINGS).run()
        await database.rows(SPOIL)
        await Reembedding(database, new, lambda _: None, SETTINGS).run()
        assert (await database.rows(INDEX))[0]["indisvalid"]

    async def test_a_second_one_waits_for_the_first(self, database: Database, filled: None, new: Embedding, server: Server) -> None:
        server.gate = asyncio.Event()
        said: list[str] = []
        first = asyncio.create_task(Reembedding(database, new, lambda _: None, SETTINGS).run())
        while not server.requests:
            await asyncio.sleep(0)
        second = asyncio.create_task(Reembedding(database, new, said.append, SETTINGS).run())
        while not said:
            await asyncio.sleep(0)
        server.gate.set()
        await asyncio.gather(first, second)
        assert said[0] == "another process is changing the space: waiting for it"
        assert len(server.texts) == 100

    async def test_one_whose_space_is_given_up_meanwhile_ends(
        self, database: Database, filled: None, new: Embedding, server: Server
    ) -> None:
        server.gate = asyncio.Event()
        running = asyncio.create_task(Reembedding(database, new, lambda _: None, SETTINGS).run())
        while not server.requests:
            await asyncio.sleep(0)
        await begin_space(database, "another", 8)
        server.gate.set()
        with pytest.raises(SpaceMismatch, match="is retired now"):
            await running

    async def test_a_text_that_the_new_model_refuses_is_passed_over(
        self, database: Database, filled: None, new: Embedding, server: Server
    ) -> None:
        server.refuses = "episode42 "
        assert (await Reembedding(database, new, lambda _: None, SETTINGS).run()).state == "ready"
        await require_all_in_new_space(database, 99)


class TestWhileTheEndpointIsAway:
    async def test_what_arrives_waits_in_the_queue_and_searches_say_that_they_go_by_words(
        self,
        database: Database,
        cache: Cache,
        new: Embedding,
        server: Server,
        settings: MemorySettings,
        make_row: MakeRow,
        remember: Remember,
    ) -> None:
        space = await claim_space(database, MODEL, DIMENSIONS)
        embedder = Embedder(
            database, new, space, Arrivals(database, embeds=True, recheck_s=1), msgspec.structs.replace(settings, reconnect_pause_s=0.01)
        )
        search = Search(database, cache, new, space, settings)
        server.away = True
        running = asyncio.create_task(embedder.run())
        await remember([make_row(1, "alpha bravo")])
        while not new.trouble:
            await asyncio.sleep(0)
        answer = await search.find(SearchRequest(query="alpha"))
        assert [(hit.id, hit.ranks.text, hit.ranks.vector) for hit in answer.results] == [("event-1", 1, None)]
        assert answer.degraded == "the question could not be embedded just now: found by its words only"
        with pytest.raises(Unavailable, match=server.url):
            await search.find(SearchRequest(query="alpha", mode="vector"))
        assert (await search.find(SearchRequest(query="alpha", mode="text"))).degraded is None
        server.away = False
        async with asyncio.timeout(20):
            while (await search.find(SearchRequest(query="alpha"))).degraded is not None:
                await asyncio.sleep(0)
            while not (answer := await search.find(SearchRequest(query="alpha"))).results[0].ranks.vector:
                await asyncio.sleep(0)
        assert not running.done(), "the embedder has gone on by itself"
        running.cancel()

    async def test_a_refused_text_leaves_the_queue_and_the_others_have_vectors(
        self, database: Database, new: Embedding, server: Server, settings: MemorySettings, make_row: MakeRow, remember: Remember
    ) -> None:
        space = await claim_space(database, MODEL, DIMENSIONS)
        server.refuses = "poison"
        await remember([make_row(n, "poison" if n == 3 else f"alpha {n}") for n in range(1, 6)])
        await work_off(database, new, space, settings)
        assert sorted(r["content"] for r in await database.rows(ALL)) == ["alpha 1", "alpha 2", "alpha 4", "alpha 5"]


class TestProgress:
    def test_it_says_how_far_how_fast_and_how_long(self) -> None:
        assert line(1_000, 11_000, 100.0) == "    1,000 / 11,000 passages  100/s  0:01:40 left"
        assert line(11_000, 11_000, 100.0) == "   11,000 / 11,000 passages"
        assert line(0, 10, 0.0) == "        0 / 10 passages"
