"""Episodes, page by page, as skills look at them: in pages that get smaller where the episodes are large."""

from typing import Any

from msgspec.structs import replace

from agents.skills.skill import SkillContext, SkillError
from bus import subjects
from bus.errors import CerebroError, Refused
from schemas.memory import EpisodePage, EpisodeView, RecentFilter
from schemas.words import PAGE_LEN_MAX

ASK_S = 5.0
"""Longest wait for one page."""
TOO_LARGE = 413
"""What memory answers where a page does not fit into one message."""


async def gather(context: SkillContext, wanted: RecentFilter, limit: int) -> tuple[list[EpisodeView], bool]:
    """The newest `limit` episodes that fit the filter, and whether there are no more. Raises `SkillError` where memory is away."""
    found: list[EpisodeView] = []
    page_len, before = PAGE_LEN_MAX, None
    while len(found) < limit:
        asked = replace(wanted, limit=min(page_len, limit - len(found)), before=before)
        page = await _page(context, asked)
        if page is None:
            page_len = asked.limit // 2
            continue
        found += page.episodes
        before = page.next_before
        if before is None:
            return found, True
    return found, False


async def _page(context: SkillContext, asked: RecentFilter) -> EpisodePage | None:
    """One page, or None where it is too large for a message and could be smaller."""
    try:
        page: EpisodePage = await context.bus.ask(subjects.MEMORY_RECENT, asked, timeout_s=ASK_S)
    except Refused as e:
        if e.problem().status == TOO_LARGE and asked.limit > 1:
            return None
        raise SkillError("memory_refused", f"memory refused to list episodes: {e}") from e
    except CerebroError as e:
        raise memory_unavailable(e) from e
    return page


def memory_unavailable(error: Any) -> SkillError:
    """Memory does not answer; another try may help."""
    return SkillError("memory_unavailable", f"memory does not answer: {error}", retryable=True)
