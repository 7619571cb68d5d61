"""Happenings: episodes cut down to what patterns are looked for in, and gathered into sittings.

A sitting is what one agent did in one session; without a session, what it did without a pause longer than the gap.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

import msgspec

from schemas.memory import EpisodeView

OUTCOME_FIELDS = ("outcome", "status")
"""Where an episode's details say how it ended; the first that is there counts."""
OUTCOME_LEN_MAX = 100
"""Longest outcome, in characters; a longer text is none."""
ACTION, TAG, OUTCOME = "action ", "tag ", "outcome "
"""How an item begins that is an action type, a tag or an outcome."""
TAGS_MAX = 20
"""Most tags of one episode that are looked at."""


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """One episode. `at` in seconds since 1970."""

    id: str
    agent: str
    at: float
    kind: str
    session: str | None = None
    tags: tuple[str, ...] = ()
    outcome: str | None = None

    @property
    def items(self) -> frozenset[str]:
        """What can go together with something else: its action type, tags and outcome."""
        ended = [f"{OUTCOME}{self.outcome}"] if self.outcome else []
        return frozenset([f"{ACTION}{self.kind}", *(f"{TAG}{tag}" for tag in self.tags), *ended])


def happening(episode: EpisodeView) -> Happening:
    """The episode as a happening."""
    return Happening(
        id=episode.episode_id,
        agent=episode.agent_id,
        at=datetime.fromisoformat(episode.timestamp).timestamp(),
        kind=episode.action_type,
        session=episode.session_id,
        tags=tuple(sorted(set(episode.tags))[:TAGS_MAX]),
        outcome=_outcome(episode.action_details),
    )


def _outcome(details: dict[str, Any]) -> str | None:
    values = [value for name in OUTCOME_FIELDS if isinstance(value := details.get(name), str)]
    return next((value for value in values if 0 < len(value) <= OUTCOME_LEN_MAX), None)


def sittings(happenings: Iterable[Happening], gap_s: float) -> list[list[Happening]]:
    """The sittings, each in order of time; `gap_s` is the longest pause within one that has no session."""
    found: list[list[Happening]] = []
    by_source = sorted(happenings, key=lambda h: (h.agent, h.session or "", h.at, h.id))
    for (_, session), group in groupby(by_source, key=lambda h: (h.agent, h.session or "")):
        row = list(group)
        found += [row] if session else _without_pauses(row, gap_s)
    return found


def _without_pauses(row: Sequence[Happening], gap_s: float) -> list[list[Happening]]:
    parts = [[row[0]]]
    for h in row[1:]:
        if h.at - parts[-1][-1].at > gap_s:
            parts.append([])
        parts[-1].append(h)
    return parts
