"""A tiny model: one dimension for each known word, so that an oracle can be as exact as PostgreSQL."""

from collections.abc import Sequence

from memory.embedder import Embedder

WORDS = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot"]


class WordModel:
    """Counts words."""

    model, dimensions = "words", len(WORDS)

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[float(text.lower().split().count(word)) + 0.01 for word in WORDS] for text in texts]


async def embed_all(embedder: Embedder) -> None:
    """Work off the whole queue."""
    while await embedder.embed_some():
        pass
