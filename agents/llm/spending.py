"""What an agent's calls used within the last hour, as memory holds it: so that a restart does not begin a new budget."""

import logging
from datetime import datetime, timedelta

import msgspec

from agents.llm.budget import WINDOW_S, Used
from bus import subjects
from bus.connection import Bus
from bus.errors import CerebroError
from schemas.llm import LLM_CALL, CallFigures
from schemas.memory import EpisodeView, RecentFilter
from schemas.words import PAGE_LEN_MAX

log = logging.getLogger("cerebro.agents")

PAGES_MAX = 25
"""Most pages that are read; the latest calls come first, so what is not read is the oldest of the hour."""
TIMEOUT_S = 2.0
"""Longest wait for a page."""


async def spent_before(bus: Bus, agent: str, clock: float) -> list[Used]:
    """What was used, oldest first, in seconds of a clock that shows `clock` now. Nothing, with a line in the log, where memory is away."""
    now = bus.now()
    found: list[EpisodeView] = []
    before: str | None = None
    for _ in range(PAGES_MAX):
        asked = RecentFilter(
            agent_id=agent, action_type=LLM_CALL, since=now - timedelta(seconds=WINDOW_S), limit=PAGE_LEN_MAX, before=before
        )
        try:
            page = await bus.ask(subjects.MEMORY_RECENT, asked, timeout_s=TIMEOUT_S)
        except CerebroError as e:
            log.warning("%s: what its language model used within the hour is not known, its budget begins anew: %s", agent, e)
            return []
        found += page.episodes
        before = page.next_before
        if before is None:
            break
    return [_used(episode, clock - (now - datetime.fromisoformat(episode.timestamp)).total_seconds()) for episode in reversed(found)]


def _used(episode: EpisodeView, at: float) -> Used:
    """A call by what it remembers; one whose figures cannot be read has used nothing."""
    try:
        figures = msgspec.convert(episode.action_details, CallFigures)
    except msgspec.ValidationError:
        figures = CallFigures()
    return Used(at, figures.input_tokens + figures.output_tokens, figures.cost or 0.0)
