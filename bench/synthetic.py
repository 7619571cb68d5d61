"""Made-up episodes and vectors, any number of them, the same for the same number. Words are as frequent as English content words are."""

import itertools
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bus import subjects
from bus.ids import derived
from schemas.entry import Entry
from schemas.memory import Action

VOCABULARY_LEN: Final = 20_000
RANK_SHIFT: Final = 20
"""Zipf's law from its 20th word on: those before it are stop words."""
WORDS_IN_TEXT: Final = 25
AGENTS: Final = 100
SESSION_LEN: Final = 20
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
SEQ_FIRST: Final = 1_000_000_000
"""Far beyond what the mesh itself writes on its log meanwhile."""
CENTRES: Final = 1_000
SPREAD: Final = 0.7
"""How far a vector lies from its centre: the mean cosine of two of one centre is then about 2/3."""

_CONSONANTS, _VOWELS = "bdfgklmnprtvz", "aeiou"
_SYLLABLES = [a + b for a, b in itertools.product(_CONSONANTS, _VOWELS)]
_VOCABULARY = ["".join(s) for s in itertools.islice(itertools.product(_SYLLABLES, repeat=3), 0, 13 * VOCABULARY_LEN, 13)]
_WEIGHTS = list(itertools.accumulate(1 / (rank + RANK_SHIFT) for rank in range(VOCABULARY_LEN)))


def text(number: int, length: int = WORDS_IN_TEXT) -> str:
    """The text of this number."""
    return " ".join(random.Random(number).choices(_VOCABULARY, cum_weights=_WEIGHTS, k=length))


def agent(number: int) -> str:
    return f"agent-{number % AGENTS}"


def action(number: int) -> Action:
    """What an agent did; agents take turns, and each goes on in its session."""
    return Action(
        action_type="note",
        action_details={"text": text(number)},
        tags=[f"tag-{number % 7}"],
        session_id=f"session-{number % AGENTS}-{number // AGENTS // SESSION_LEN}",
        timestamp=START + timedelta(seconds=number),
    )


def entry(number: int) -> Entry:
    """The action as an entry of a log."""
    tokens = {"agent": agent(number)}
    return Entry(
        seq=SEQ_FIRST + number,
        time=START + timedelta(seconds=number),
        event_id=derived("synthetic", number),
        subject=subjects.EPISODE.subject(**tokens),
        name=subjects.EPISODE.name,
        tokens=tokens,
        body=action(number),
    )


def vectors(numbers: Sequence[int], dimensions: int) -> NDArray[np.float32]:
    """A unit vector for each of these numbers, a range of them; around one of many centres, as texts lie around topics."""
    centres = _units(np.random.default_rng(0), CENTRES, dimensions)
    chance = np.random.default_rng(numbers[0] + 1)
    near = centres[chance.integers(CENTRES, size=len(numbers))] + SPREAD * _units(chance, len(numbers), dimensions)
    unit: NDArray[np.float32] = near / np.linalg.norm(near, axis=1, keepdims=True)
    return unit


def _units(chance: np.random.Generator, count: int, dimensions: int) -> NDArray[np.float32]:
    rows = chance.standard_normal((count, dimensions), dtype=np.float32)
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
