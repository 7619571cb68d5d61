"""Sources for tests, a minute apart."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from memory.consolidation.source import Source

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)

DEPLOYS = (
    "The deploy to staging failed with TimeoutError on db-2.",
    "Deploy to staging failed: TimeoutError on db-2 after 30 s.",
    "Deploying to staging failed again with TimeoutError on db-2.",
)
QUEUES = ("We decided to move the queue to NATS JetStream.", "We decided that the queue moves to NATS JetStream next week.")
ODD = "A penguin visited the office kitchen."


def said(*texts: str, agent: str = "nexus", start: int = 0, **fields: Any) -> list[Source]:
    """One source a text, with ids `e0`, `e1`, … from `start` on."""
    return [Source(id=f"e{n}", agent=agent, text=text, at=START + timedelta(minutes=n), **fields) for n, text in enumerate(texts, start)]


def ids(sources: Sequence[Source]) -> list[str]:
    return sorted(source.id for source in sources)
