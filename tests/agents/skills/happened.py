"""Happenings for tests of what recurs."""

import random
from collections.abc import Iterable, Sequence
from typing import Any

from agents.skills.happenings import Happening


def happened(n: int, kind: str, **fields: Any) -> Happening:
    """The `n`-th happening, a minute after the one before."""
    return Happening(**{"id": f"e{n}", "agent": "nexus", "at": 60.0 * n, "kind": kind, **fields})


def told(sessions: Iterable[Sequence[str]]) -> list[list[Happening]]:
    """Sittings of these action types; the ids are `<session>.<place>`."""
    return [
        [happened(n, kind, id=f"{s}.{n}", session=f"s{s}", at=10_000.0 * s + n) for n, kind in enumerate(kinds)]
        for s, kinds in enumerate(sessions)
    ]


def noise(seed: int, sessions: int, kinds: int, length: int) -> list[list[str]]:
    """Sessions in which each action type comes by chance, some types more often than others."""
    rnd = random.Random(seed)
    names = [f"kind{k}" for k in range(kinds)]
    return [rnd.choices(names, [1 / (k + 1) for k in range(kinds)], k=length) for _ in range(sessions)]
