"""The forward pass is the model's: its vectors agree with those that its authors publish."""

import numpy as np
import pytest

from memory.minilm import DIMENSIONS, TOKENS_AT_ONCE_MAX, MiniLM, by_length


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

    def test_vectors_are_of_length_one_also_those_of_nothing_and_of_too_much(self, model: MiniLM) -> None:
        vectors = model.embed(["", "x " * 100_000, "\ufffd", "日本語のテキスト"])
        assert vectors.shape == (4, DIMENSIONS)
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(4), abs=1e-5)

    def test_no_texts_are_no_vectors(self, model: MiniLM) -> None:
        assert model.embed([]).shape == (0, DIMENSIONS)


class TestGroups:
    def test_every_text_is_in_one_group_and_no_group_is_too_large(self) -> None:
        lengths = [3, 250, 7, 7, 120, 3, 256] * 20
        groups = by_length(lengths)
        assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
        assert all(max(lengths[i] for i in group) * len(group) <= TOKENS_AT_ONCE_MAX for group in groups)
