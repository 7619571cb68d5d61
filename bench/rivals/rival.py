"""The systems that Cerebro is measured beside. Each is given the same documents and questions, and ranks documents."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.corpora.corpus import Corpus
from cerebro.embedded.postgres import programs
from memory.minilm import MiniLM

HERE = Path(__file__).parent
STOP_WORDS = programs().parent / "share" / "postgresql" / "tsearch_data" / "english.stop"
"""The same as those of our text search."""
EMBED_AT_ONCE = 64
ABSENT = "it needs CEREBRO_BENCH_PYTHON, an interpreter with bench/requirements.txt"

Rankings = list[list[str]]
"""For each question the documents found, best first."""


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """One question; it is asked of one conversation (`scope`), or of all of them together (None)."""

    scope: str | None
    text: str


def vectors(model: MiniLM, texts: Sequence[str]) -> NDArray[np.float32]:
    """A unit vector for each text; a text that stands twice is embedded once."""
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    different = list(places)
    made = [model.embed(different[at : at + EMBED_AT_ONCE]) for at in range(0, len(different), EMBED_AT_ONCE)]
    return np.concatenate(made)[[places[text] for text in texts]]


class Rivals:
    """All rivals on one corpus; what they share (the vectors) is made once."""

    def __init__(self, corpus: Corpus, asked: Sequence[Asking], limit: int) -> None:
        self._documents = corpus.documents
        self._asked = asked
        self._limit = limit
        texts = [d.shown for _, d in self._documents] + [q.text for q in asked]
        self._vectors = vectors(MiniLM(), texts)

    def minilm(self) -> Rankings:
        """The nearest by exact cosine, in Cerebro's own embedding of the whole text."""
        n = len(self._documents)
        documents, questions = self._vectors[:n], self._vectors[n:]
        scopes = np.array([scope for scope, _ in self._documents])
        everything = np.arange(n)
        rankings = []
        for question, vector in zip(self._asked, questions, strict=True):
            within = everything if question.scope is None else np.flatnonzero(scopes == question.scope)
            best = within[np.argsort(-(documents[within] @ vector), kind="stable")[: self._limit]]
            rankings.append([self._documents[place][1].ident for place in best])
        return rankings

    def bm25s(self, python: Path) -> tuple[Rankings, str]:
        """Its rankings and its version."""
        return self._run(python, "bm25s_alone.py", {**self._given(), "stop_words": STOP_WORDS.read_text().split()})

    def mem0(self, python: Path) -> tuple[Rankings, str]:
        """Its rankings and its version."""
        return self._run(python, "mem0_without_llm.py", {**self._given(), "vectors": self._vectors.tolist()})

    def _given(self) -> dict[str, Any]:
        documents = [{"scope": scope, "ident": d.ident, "text": d.shown} for scope, d in self._documents]
        return {"documents": documents, "questions": self._asked, "limit": self._limit}

    @staticmethod
    def _run(python: Path, script: str, given: dict[str, Any]) -> tuple[Rankings, str]:
        done = subprocess.run([python, HERE / script], input=msgspec.json.encode(given), stdout=subprocess.PIPE, check=True)
        answer = msgspec.json.decode(done.stdout)
        return answer["rankings"], answer["version"]
