"""Recall: search, the recent past, one episode."""

import msgspec

from bus.subjects import MEMORY_GET, MEMORY_RECENT, MEMORY_SEARCH
from gateway.call import Answer, Call, reply
from schemas.memory import ById
from schemas.words import EventId


class EpisodePath(msgspec.Struct, frozen=True):
    episode_id: EventId


async def search(call: Call) -> Answer:
    """Find episodes, concepts and lessons by text, by meaning, or by both (`hybrid`). `as_of`: as it was at a time or log position."""
    return reply(await call.ask(MEMORY_SEARCH, call.body, call.settings.search_s))


async def recent(call: Call) -> Answer:
    """Episodes, newest first by their timestamp. `before` goes on where `next_before` of the page before ended."""
    return reply(await call.ask(MEMORY_RECENT, call.query))


async def episode(call: Call) -> Answer:
    """One episode with all its fields."""
    return reply(await call.ask(MEMORY_GET, ById(id=call.path.episode_id)))
