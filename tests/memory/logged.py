"""Entries of any protocol as the log would bring them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from bus.subjects import Subject
from memory.episode_row import EpisodeRow, episode_row
from schemas.entry import Entry

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def logged(seq: int, row: Subject, body: Any, *, event_id: str | None = None, **tokens: str) -> EpisodeRow:
    """The row of an entry at place `seq`, a second after the one before; its event id is `event-<seq>`."""
    return episode_row(
        Entry(
            seq=seq,
            time=START + timedelta(seconds=seq),
            event_id=event_id or f"event-{seq}",
            subject=row.subject(**tokens),
            name=row.name,
            tokens=tokens,
            body=body,
        )
    )
