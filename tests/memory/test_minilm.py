"""The forward pass is the model's: its vectors agree with those that its authors publish."""

import math
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from memory import minilm
from memory.minilm import DIMENSIONS, TOKENS_AT_ONCE_MAX, TOKENS_MAX, MiniLM, by_length, model_folder


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return MiniLM()


class TestMiniLM:
    def test_cosines_are_those_of_the_model_card(self, model: MiniLM) -> None:
        """The example of the card of sentence-transformers/all-MiniLM-L6-v2."""
        happy, dog, very, sunny = model.embed(
            ["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"]
        )
        assert [float(happy @ dog), float(happy @ very), float(happy @ sunny)] == pytest.approx([0.695, 0.943, 0.257], abs=0.001)

    def test_a_text_has_the_same_vector_alone_and_in_a_batch(self, model: MiniLM) -> None:
        texts = ["short", "a text of middle length that has some words", "a long one " * 60, ""]
        together = model.embed(texts)
        alone = np.concatenate([model.embed([text]) for text in texts])
        assert (together * alone).sum(axis=1) == pytest.approx(np.ones(len(texts)), abs=1e-5)

    def test_matrices_in_blocks_and_whole_ones_give_the_same_vectors(self, monkeypatch: pytest.MonkeyPatch) -> None:
        texts = ["short", "a text of middle length that has some words " * 4, "a long one " * 60]
        vectors = []
        for in_blocks in (False, True):
            monkeypatch.setattr(minilm, "IN_BLOCKS", in_blocks)
            vectors.append(MiniLM().embed(texts))
        assert vectors[0] == pytest.approx(vectors[1], abs=1e-5)

    def test_vectors_are_of_length_one_also_those_of_nothing_and_of_too_much(self, model: MiniLM) -> None:
        vectors = model.embed(["", "x " * 100_000, "\ufffd", "日本語のテキスト"])
        assert vectors.shape == (4, DIMENSIONS)
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(4), abs=1e-5)

    def test_no_texts_are_no_vectors(self, model: MiniLM) -> None:
        assert model.embed([]).shape == (0, DIMENSIONS)


def by_the_book(text: str) -> Any:
    """The network as its papers have it: one text, double precision, Φ by erf, nothing fused and nothing in place."""
    tokenizer = Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(TOKENS_MAX)
    ids = tokenizer.encode(text).ids
    w = {
        name: value.astype(np.float64)
        for name, value in load_file(model_folder() / "model.safetensors").items()
        if value.dtype == np.float32
    }

    def norm(x: Any, name: str) -> Any:
        middle = x - x.mean(-1, keepdims=True)
        return middle / np.sqrt((middle**2).mean(-1, keepdims=True) + 1e-12) * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x: Any, name: str) -> Any:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def attention(x: Any, name: str) -> Any:
        query, key, value = (linear(x, f"{name}.self.{part}").reshape(-1, 12, 32).swapaxes(0, 1) for part in ("query", "key", "value"))
        weights = np.exp(query @ key.swapaxes(1, 2) / math.sqrt(32))
        return (weights / weights.sum(-1, keepdims=True) @ value).swapaxes(0, 1).reshape(-1, DIMENSIONS)

    words, places, kinds = (w[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type"))
    x = norm(words[ids] + places[: len(ids)] + kinds[0], "embeddings.LayerNorm")
    for layer in (f"encoder.layer.{n}" for n in range(6)):
        mixed = linear(attention(x, f"{layer}.attention"), f"{layer}.attention.output.dense")
        x = norm(x + mixed, f"{layer}.attention.output.LayerNorm")
        wide = linear(x, f"{layer}.intermediate.dense")
        wide = wide * (1 + np.vectorize(math.erf)(wide / math.sqrt(2))) / 2
        x = norm(x + linear(wide, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    return x.mean(0) / np.linalg.norm(x.mean(0))


class TestExactness:
    def test_single_precision_and_its_short_cuts_cost_next_to_nothing(self, model: MiniLM) -> None:
        texts = ["", "That is a happy person", "Why was the query slow? An index was missing; 日本語も.", "one two three four " * 80]
        cosines = [float(by_the_book(text) @ row) for text, row in zip(texts, model.embed(texts), strict=True)]
        assert min(cosines) >= 0.9999


class TestGroups:
    def test_every_text_is_in_one_group_and_no_group_is_too_large(self) -> None:
        lengths = [3, 250, 7, 7, 120, 3, 256] * 20
        groups = by_length(lengths)
        assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
        assert all(max(lengths[i] for i in group) * len(group) <= TOKENS_AT_ONCE_MAX for group in groups)
