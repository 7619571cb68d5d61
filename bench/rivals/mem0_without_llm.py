"""mem0 with `infer=False`: each message becomes a memory as it stands, and no language model is asked.

Run by the interpreter of bench/requirements.txt. The vectors are handed in (the same MiniLM as everybody's), the store is its
default one (Qdrant) in a folder, and telemetry is off. Its optional keyword search and entity links want models that are fetched
from a hub at run time; without them, as here, mem0 says so and searches by vector.
"""

import json
import os
import sys
import tempfile
from importlib.metadata import version

FOLDER = tempfile.mkdtemp(prefix="bench-mem0-")
os.environ |= {"MEM0_TELEMETRY": "False", "MEM0_DIR": FOLDER, "OPENAI_API_KEY": "unused: no language model is asked"}

from mem0 import Memory  # noqa: E402 - it reads its environment as it is imported
from mem0.embeddings.base import EmbeddingBase  # noqa: E402

EVERYBODY = "everybody"


class Given(EmbeddingBase):
    """Vectors that were made before. mem0 strips a question of the spaces at its ends before it asks for its vector."""

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        super().__init__()
        self._vectors = {text.strip(): vector for text, vector in vectors.items()}

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:  # noqa: ARG002 - the shape that mem0 calls
        return self._vectors[text.strip()]


def memory(vectors: dict[str, list[float]]) -> Memory:
    """Its defaults, but for a store in our folder and our vectors."""
    dimensions = len(next(iter(vectors.values())))
    made = Memory.from_config(
        {
            "vector_store": {"provider": "qdrant", "config": {"path": f"{FOLDER}/store", "embedding_model_dims": dimensions}},
            "history_db_path": f"{FOLDER}/history.db",
        }
    )
    made.embedding_model = Given(vectors)
    return made


def main() -> None:
    """A memory for each document, its scope as its agent; the answers in the order of the questions.

    Hits of negative similarity are left out: it takes no threshold below 0.
    """
    asked = json.load(sys.stdin)
    texts = [thing["text"] for thing in (*asked["documents"], *asked["questions"])]
    mem0 = memory(dict(zip(texts, asked["vectors"], strict=True)))
    idents: dict[str, str] = {}
    for document in asked["documents"]:
        message = [{"role": "user", "content": document["text"]}]
        (added,) = mem0.add(message, user_id=EVERYBODY, agent_id=document["scope"], infer=False)["results"]
        idents[added["id"]] = document["ident"]
    rankings = []
    for question in asked["questions"]:
        scope = {"agent_id": question["scope"]} if question["scope"] is not None else {"user_id": EVERYBODY}
        hits = mem0.search(question["text"], top_k=asked["limit"], filters=scope, threshold=0.0)["results"]
        rankings.append([idents[hit["id"]] for hit in hits])
    json.dump({"rankings": rankings, "version": version("mem0ai")}, sys.stdout)


main()
