"""How much of a question's evidence the search finds, through the real REST API with default settings, beside other systems.

Questions are asked twice: within their conversation (`agent_id`), and of all conversations together. A hit that is no document of
the corpus, as a concept, takes its place in the ranking and finds nothing.
"""

import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import pytest

from bench.asked import Asked
from bench.conftest import Launch
from bench.corpora import beam, locomo
from bench.corpora.corpus import Corpus, Document
from bench.rivals.rival import ABSENT, Asking, Rankings, Rivals
from bench.scores import Scores, mean
from bench.table import percent, show
from tests.integration.rest import client, eventually, get, post

pytestmark = [pytest.mark.bench, pytest.mark.timeout(5_400)]

LIMIT = 50
STORED_AT_ONCE = 200
EMBEDDED_S_MAX = 3_600.0
"""Longest wait until everything stored has its vector."""
COLUMNS = ("", "recall@10", "nDCG@10", "recall@50", "p50 ms")


async def test_recall_on_locomo(asked: Asked, launch: Launch) -> None:
    if asked.locomo is None:
        pytest.skip("it needs CEREBRO_BENCH_LOCOMO, a file of the LoCoMo format, which may not be kept here (CC BY-NC)")
    await measure(locomo.load(asked.locomo, asked.conversations), asked, launch)


async def test_recall_on_long_chats(asked: Asked, launch: Launch) -> None:
    if asked.beam is None:
        pytest.skip("it needs CEREBRO_BENCH_BEAM, the folder chats/100K of the BEAM repository, which is not kept here")
    await measure(beam.load(asked.beam, asked.conversations), asked, launch)


async def measure(corpus: Corpus, asked: Asked, launch: Launch) -> None:
    """Print the figures of every system on this corpus."""
    askings = [Asking(scope=scope, text=q.text) for scope, q in corpus.questions]
    askings += [Asking(scope=None, text=q.text) for _, q in corpus.questions]
    ours, times_ms, strangers = await cerebro(corpus, askings, launch)
    systems: dict[str, Rankings] = {"**Cerebro**, default settings": ours}
    rivals, remarks = Rivals(corpus, askings, LIMIT), []
    systems["MiniLM alone"] = rivals.minilm()
    if asked.python is None:
        remarks.append(f"The rows of bm25s and mem0 are left out: {ABSENT}.")
    else:
        for name, rank in (("bm25s {}", rivals.bm25s), ("mem0 {}, `infer=False`", rivals.mem0)):
            try:
                rankings, version = rank(asked.python)
            except subprocess.CalledProcessError as e:  # what it said stands above; our own figures are not lost for it
                remarks.append(f"The row of {name.format('')} is missing: it ended with exit status {e.returncode}.")
            else:
                systems[name.format(version)] = rankings
    if strangers:
        remarks.append(f"{strangers} hits of Cerebro were no documents of the corpus.")
    n = len(corpus.questions)
    headline = [place for place, (_, q) in enumerate(corpus.questions) if q.headline]
    for title, places in (("each conversation an agent", headline), ("all of them together", [n + place for place in headline])):
        rows = []
        for name, rankings in systems.items():
            s = scores(corpus, rankings, places)
            p50 = f"{statistics.median(times_ms[place] for place in places):.0f}" if rankings is ours else ""
            rows.append((name, percent(s.recall_10), percent(s.ndcg_10), percent(s.recall_50), p50))
        show(f"{corpus.name}, {title}: {len(places)} questions, {len(corpus.documents)} documents", COLUMNS, rows, *remarks)
    show(f"{corpus.name}, recall@10 by kind of question, each conversation an agent", *by_kind(corpus, systems))


def scores(corpus: Corpus, rankings: Rankings, places: Sequence[int]) -> Scores:
    """The means over these places of the rankings; every question stands there twice, within its scope and without."""
    golds = [corpus.questions[place % len(corpus.questions)][1].gold for place in places]
    return mean([rankings[place] for place in places], golds)


def by_kind(corpus: Corpus, systems: Mapping[str, Rankings]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the table."""
    kinds: dict[str, list[int]] = {}
    for place, (_, q) in enumerate(corpus.questions):
        kinds.setdefault(q.kind, []).append(place)
    columns = ["", *(f"{kind} ({len(kinds[kind])})" for kind in sorted(kinds))]
    rows = [
        [name, *(percent(scores(corpus, rankings, kinds[kind]).recall_10) for kind in sorted(kinds))] for name, rankings in systems.items()
    ]
    return columns, rows


async def cerebro(corpus: Corpus, askings: Sequence[Asking], launch: Launch) -> tuple[Rankings, list[float], int]:
    """Our rankings, how long each answer took in ms, and how many hits were none of the corpus."""
    rankings: Rankings = []
    times_ms = []
    async with client(launch().run.http) as http:
        documents = await store(http, corpus)
        for asking in askings:
            scope = {} if asking.scope is None else {"agent_id": asking.scope}
            start = time.perf_counter()
            found = await post(http, "/memory/search", {"query": asking.text, "limit": LIMIT, **scope}, 200)
            times_ms.append((time.perf_counter() - start) * 1000)
            rankings.append([documents.get(hit["id"], hit["id"]) for hit in found["results"]])
    known = set(documents.values())
    return rankings, times_ms, sum(ident not in known for ranking in rankings for ident in ranking)


async def store(http: httpx.AsyncClient, corpus: Corpus) -> dict[str, str]:
    """Have everything remembered, found by text and by vector; which document each episode is."""
    documents: dict[str, str] = {}
    given = corpus.documents
    for at in range(0, len(given), STORED_AT_ONCE):
        some = given[at : at + STORED_AT_ONCE]
        answer = await http.post("/memory/actions?wait=searchable", json=[action(name, document) for name, document in some])
        assert answer.status_code in {201, 202}, answer.text  # 202: the vectors are not there yet
        documents |= {item["episode_id"]: document.ident for item, (_, document) in zip(answer.json()["items"], some, strict=True)}
    await eventually(lambda: embedded(http), EMBEDDED_S_MAX)
    return documents


def action(name: str, document: Document) -> dict[str, Any]:
    return {
        "agent_id": name,
        "action_type": "message",
        "action_details": {"text": document.text, "speaker": document.speaker},
        "session_id": document.session,
        "timestamp": document.moment.isoformat(),
    }


async def embedded(http: httpx.AsyncClient) -> bool:
    """Whether nothing waits for a vector."""
    memory = (await get(http, "/stats"))["memory"]
    return memory is not None and memory["unembedded"] == 0
