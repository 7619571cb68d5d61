"""`as_of` gives the answer that was given when the log stood there. The oracle is that answer, kept while a history grew."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import pytest

from memory.arrivals import Arrivals
from memory.batch import rows_of
from memory.cache import Cache
from memory.database import Database
from memory.embedder import Embedder
from memory.embedding import Embedding
from memory.episode_row import EpisodeRow
from memory.fold import Fold
from memory.main import projections
from memory.positions import PERSISTER, advance
from memory.search import Search
from memory.settings import MemorySettings
from memory.spaces import claim_space
from schemas.memory import ALL_KINDS, SearchHit, SearchRequest
from tests.history import AGENTS, START, WORDS, history, in_the_log

SEED: Final = 20_261_127
QUESTIONS: Final = 300
"""As-of questions of a run of `make test`; `make faults` asks 10,000."""
ROUNDS: Final = 20
LIMITS: Final = (1, 3, 10, 50, 200)


class WordModel:
    """A tiny model, exact on every machine: one dimension for each known word."""

    model, dimensions = "words", len(WORDS)

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[float(text.lower().split().count(word)) + 0.01 for word in WORDS] for text in texts]


class Kept(msgspec.Struct, frozen=True):
    """A question, what was answered when the log stood at `seq`, and the moments at which it stood there."""

    asked: SearchRequest
    seq: int
    since: datetime
    until: datetime
    answer: list[SearchHit]


class Mesh:
    """Memory without its actor: the fold, the embedder and the search over one database."""

    def __init__(self, database: Database, embedder: Embedder, search: Search) -> None:
        self._database = database
        self._fold = Fold(database, projections(database))
        self._embedder = embedder
        self._search = search

    async def take(self, rows: Sequence[EpisodeRow]) -> None:
        """Persist and embed."""
        async with self._database.transaction() as connection:
            taken = await self._fold.take(connection, rows)
            await advance(self._database, connection, PERSISTER, rows[-1].stream_seq, len(taken))
        while await self._embedder.embed_some():
            pass

    async def answer(self, asked: SearchRequest) -> list[SearchHit]:
        return (await self._search.find(asked)).results


@asynccontextmanager
async def remembering(database: Database, settings: MemorySettings) -> AsyncIterator[Mesh]:
    embedding = Embedding(WordModel())
    space = await claim_space(database, WordModel.model, WordModel.dimensions)
    embedder = Embedder(database, embedding, space, Arrivals(database, embeds=True, recheck_s=1), settings)
    cache = Cache("redis://127.0.0.1:1", "", timeout_s=0.1, retry_s=60)  # away: every answer is made by PostgreSQL
    try:
        yield Mesh(database, embedder, Search(database, cache, embedding, space, settings))
    finally:
        embedding.close()
        await cache.close()


def a_question(rng: random.Random) -> SearchRequest:
    def maybe(value: Any, chance: float = 0.25) -> Any:
        return value if rng.random() < chance else None

    return SearchRequest(
        query=" ".join(rng.sample(WORDS, rng.randint(1, 4))),
        mode=rng.choice(["hybrid", "text", "vector"]),
        agent_id=maybe(rng.choice(AGENTS)),
        kinds=rng.sample(ALL_KINDS, rng.choice([1, 2, 3, 3, 3])),
        tags=maybe(rng.sample(["x", "y", "z"], rng.choice([1, 2]))) or [],
        importance_min=maybe(rng.choice([0.2, 0.5, 0.9])),
        since=maybe(START + timedelta(minutes=rng.randint(-600, 10))),
        until=maybe(START + timedelta(minutes=rng.randint(-600, 10))),
        limit=rng.choice(LIMITS),
    )


async def grown(mesh: Mesh, rng: random.Random, rounds: int, questions: int) -> list[Kept]:
    """Let a history grow in portions, and keep what is answered after each."""
    rows = [row for row in rows_of(in_the_log(history(rng, rounds, forgets=False)))[0] if len(row.episode_id) <= 255]
    portions = [rows[i : i + 15] for i in range(0, len(rows), 15)]
    kept = []
    for n, portion in enumerate(portions):
        await mesh.take(portion)
        following = portions[n + 1][0].recorded_at if n + 1 < len(portions) else portion[-1].recorded_at + timedelta(seconds=1)
        for _ in range(-(-questions // len(portions))):
            asked = a_question(rng)
            seq, since, until = portion[-1].stream_seq, portion[-1].recorded_at, following - timedelta(microseconds=1)
            kept.append(Kept(asked, seq, since, until, await mesh.answer(asked)))
    return kept


async def differing(mesh: Mesh, rng: random.Random, kept: Sequence[Kept]) -> list[tuple[SearchRequest, list[str], list[str]]]:
    """The questions whose answer as of then is another than the one given then, asked by place and by time."""
    found = []
    for k in rng.sample(kept, len(kept)):
        moment = k.since + rng.random() * (k.until - k.since)
        for as_of in (k.seq, moment):
            asked = msgspec.structs.replace(k.asked, as_of=as_of)
            answer = await mesh.answer(asked)
            if answer != k.answer:
                found.append((asked, [said(hit) for hit in k.answer], [said(hit) for hit in answer]))
    return found


def said(hit: SearchHit) -> str:
    return f"{hit.id} {hit.score} {hit.ranks} {hit.text}"


async def ask_as_of(database: Database, settings: MemorySettings, rounds: int, questions: int) -> None:
    """So many questions as of then; each must be answered as it was: the same hits, in the same order, with the same words."""
    rng = random.Random(SEED)
    async with remembering(database, settings) as mesh:
        kept = await grown(mesh, rng, rounds, questions // 2)
        assert sum(1 for k in kept if k.answer) > len(kept) // 2, "an oracle that mostly says nothing proves little"
        assert 2 * len(kept) >= questions
        found = await differing(mesh, rng, kept)
    assert not found, f"{len(found)} of {2 * len(kept)} differ, the first: {found[0]}"


async def test_an_answer_as_of_then_is_the_answer_that_was_given_then(database: Database, settings: MemorySettings) -> None:
    await ask_as_of(database, settings, ROUNDS, QUESTIONS)


@pytest.mark.faults
@pytest.mark.timeout(1_800)
async def test_ten_thousand_of_them(database: Database, settings: MemorySettings) -> None:
    await ask_as_of(database, settings, rounds=60, questions=10_000)
