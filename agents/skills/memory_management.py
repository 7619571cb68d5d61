"""Memory management: what is held, and what should be done about it. It changes nothing unless it is asked to apply something.

Counts come from memory itself, duplicates from a look at the latest episodes. The advice follows from these facts alone, by the
rules of `advise`; each item has the call that would do it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from agents.skills.data_consolidation import Consolidated, Wanted, consolidate
from agents.skills.episodes import gather, memory_unavailable
from agents.skills.skill import Skill, SkillContext, SkillError
from bus import subjects
from bus.errors import CerebroError
from schemas.memory import IMPORTANCE_TENTHS, WORKING_LONG_S, EpisodeView, Holdings, MemoryStats, RecentFilter, SourceHeld, StatsRequest
from schemas.words import Token, rfc3339

LOOKED_AT_MAX = 1_000
"""Most of the latest episodes among which duplicates are looked for."""
DUPLICATES_MAX = 50
"""Most groups of duplicates that are told, the largest first."""
DUPLICATE_IDS_MAX = 20
"""Most ids of one group that are told."""
WAITING_MIN = 500
"""Fewer episodes that wait for consolidation are left for the next scheduled run."""
WAITING_SHARE_MAX = 0.5
"""Share of waiting episodes from which on that is worth a word, among those that can become concepts."""
UNEMBEDDED_SHARE_MAX = 0.2
"""Share of what is held that may wait for its vector."""
UNEMBEDDED_MIN = 1_000
"""Fewer without a vector are worth no word."""
SOURCE_SHARE_MAX = 0.8
"""Share of all episodes from which on one agent of several outweighs the others."""
QUIET_S_MIN = 180 * 86_400.0
"""An agent of which nothing was heard for this long, in seconds, may be gone for good."""
QUIET_MAX = 10
"""Most quiet agents that are told."""
EPISODES_MIN = 100
"""Fewer episodes than this are no ground for advice on shares."""
UNIMPORTANT_SHARE_MAX = 0.8
"""Share of episodes in the lowest three tenths of importance from which on importance says little."""
UNIMPORTANT_TENTHS = 3
STATS_S = 15.0
"""Longest wait for the holdings; they are counted row by row."""

Urgency = Literal["now", "soon", "note"]
URGENCIES: tuple[Urgency, ...] = ("now", "soon", "note")
Action = Literal["consolidate", "forget", "reembed", "shorten", "none"]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """Whose memory, or everyone's; and what of the advice to carry out at once: nothing unless it is named."""

    agent_id: Token | None = None
    apply: Annotated[list[Literal["consolidate"]], Meta(max_length=1)] = []


class Duplicate(msgspec.Struct, frozen=True, kw_only=True):
    """Episodes of one agent and action type that say the same; `ids` with the oldest first, `text` its beginning."""

    agent_id: str
    action_type: str
    text: str
    count: int
    ids: list[str]


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What is held. Counts are of one agent where one was named; concepts, lessons, working, unembedded and bytes are always of all.

    `told` on purpose, in words, are the episodes that can become concepts, `unconsolidated` those of them that no concept holds,
    and `waiting` those of these that the consolidation has not looked at; `importance` counts all by tenths; `largest` are the
    agents with the most, `oldest` the same by how long ago they were last heard; `looked_at` says among how many of the latest
    episodes duplicates were looked for.
    """

    episodes: int
    told: int
    unconsolidated: int
    waiting: int
    concepts: int
    lessons: int
    working: int
    working_expired: int
    working_long_lived: int
    unembedded: int
    storage_bytes: dict[str, int]
    importance: list[int]
    largest: list[SourceHeld]
    oldest: list[SourceHeld]
    duplicates: list[Duplicate]
    looked_at: int


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, why, and the call that does it; `call` is empty where there is none."""

    urgency: Urgency
    action: Action
    reason: str
    call: str


class Management(msgspec.Struct, frozen=True, kw_only=True):
    """What is held, what is advised, and what was applied. After a consolidation that was applied, all figures are those of before."""

    held: Held
    advice: list[Advice]
    applied: Consolidated | None = None


# Advising


def advise(held: Held, agent_id: str | None, now: datetime) -> list[Advice]:
    """What these facts call for, the most urgent first."""
    told = [
        *_about_consolidation(held, agent_id),
        *_about_vectors(held),
        *_about_duplicates(held),
        *_about_sources(held, agent_id, now),
        *_about_working(held),
        *_about_importance(held),
    ]
    return sorted(told, key=lambda a: URGENCIES.index(a.urgency))


def _about_consolidation(held: Held, agent_id: str | None) -> list[Advice]:
    if held.waiting < max(WAITING_MIN, WAITING_SHARE_MAX * held.told):
        return []
    reason = f"the consolidation has not looked at {held.waiting} of {held.told} episodes that were told on purpose"
    body = msgspec.json.encode({"agent_id": agent_id} if agent_id else {}).decode()
    return [Advice(urgency="soon", action="consolidate", reason=reason, call=f"POST /memory/consolidate {body}")]


def _about_vectors(held: Held) -> list[Advice]:
    known = held.episodes + held.concepts
    if held.unembedded < UNEMBEDDED_MIN or held.unembedded < UNEMBEDDED_SHARE_MAX * known:
        return []
    reason = f"{held.unembedded} have no vector yet: only their words find them; if that does not fall by itself, embed them again"
    return [Advice(urgency="soon", action="reembed", reason=reason, call="cerebro memory reembed")]


def _about_duplicates(held: Held) -> list[Advice]:
    return [_duplicated(d) for d in held.duplicates]


def _duplicated(d: Duplicate) -> Advice:
    reason = f"{d.count} times the same {d.action_type} of {d.agent_id}: {d.text!r}; once seen, all but the oldest may go"
    call = " and ".join(f"DELETE /memory/episodic/{ident}" for ident in d.ids[1:])
    return Advice(urgency="note", action="forget", reason=reason, call=call)


def _about_sources(held: Held, agent_id: str | None, now: datetime) -> list[Advice]:
    told = []
    if agent_id is None and len(held.largest) > 1 and held.episodes >= EPISODES_MIN:
        first = held.largest[0]
        if first.episodes >= SOURCE_SHARE_MAX * held.episodes:
            reason = f"{first.episodes} of {held.episodes} episodes are of {first.agent_id}: ask for one agent where the others count"
            told.append(Advice(urgency="note", action="none", reason=reason, call=""))
    quiet_since = rfc3339(now - timedelta(seconds=QUIET_S_MIN))
    return told + [_quiet(s) for s in [s for s in held.oldest if s.newest < quiet_since][:QUIET_MAX]]


def _quiet(source: SourceHeld) -> Advice:
    reason = (
        f"nothing was heard of {source.agent_id} since {source.newest}; if it is gone for good, its {source.episodes} episodes"
        " can go too, which nothing brings back"
    )
    body = msgspec.json.encode({"agent_id": source.agent_id}).decode()
    return Advice(urgency="note", action="forget", reason=reason, call=f"POST /memory/forget {body}")


def _about_working(held: Held) -> list[Advice]:
    if not held.working_long_lived:
        return []
    hours = WORKING_LONG_S / 3600
    reason = (
        f"{held.working_long_lived} items of working memory are kept for more than {hours:g} hours: what is to last is better an episode"
    )
    return [Advice(urgency="note", action="shorten", reason=reason, call="PUT /memory/working/{session_id}/{key} with a shorter ttl_s")]


def _about_importance(held: Held) -> list[Advice]:
    least = sum(held.importance[:UNIMPORTANT_TENTHS])
    if held.episodes < EPISODES_MIN or least < UNIMPORTANT_SHARE_MAX * held.episodes:
        return []
    limit = UNIMPORTANT_TENTHS / IMPORTANCE_TENTHS
    reason = f"{least} of {held.episodes} episodes are less important than {limit:g}: a search with importance_min leaves them out"
    return [Advice(urgency="note", action="none", reason=reason, call="")]


# Gathering


def duplicates(episodes: Sequence[EpisodeView]) -> list[Duplicate]:
    """Groups that say the same, whatever their case and spaces, in details, context and tags; the largest first."""
    groups: dict[tuple[str, str, str], list[EpisodeView]] = {}
    for e in episodes:
        groups.setdefault((e.agent_id, e.action_type, _said(e)), []).append(e)
    found = [sorted(group, key=lambda e: (e.timestamp, e.stream_seq)) for group in groups.values() if len(group) > 1]
    found.sort(key=lambda group: (-len(group), group[0].timestamp, group[0].episode_id))
    return [_duplicate(group) for group in found[:DUPLICATES_MAX]]


def _said(e: EpisodeView) -> str:
    said: Any = [e.action_details, e.context_state, sorted(e.tags), e.session_id]
    return " ".join(msgspec.json.encode(said, order="deterministic").decode().casefold().split())


def _duplicate(group: Sequence[EpisodeView]) -> Duplicate:
    first = group[0]
    text = first.action_details.get("text")
    shown = text if isinstance(text, str) else msgspec.json.encode(first.action_details).decode()
    return Duplicate(
        agent_id=first.agent_id,
        action_type=first.action_type,
        text=shown[:100],
        count=len(group),
        ids=[e.episode_id for e in group[:DUPLICATE_IDS_MAX]],
    )


def held_of(stats: MemoryStats, holdings: Holdings, episodes: Sequence[EpisodeView]) -> Held:
    """What is held, from what memory told. Repeats that the protocols write themselves are no duplicates."""
    own = [e for e in episodes if e.subject.startswith(subjects.EPISODE.subject().removesuffix("*"))]
    return Held(
        episodes=holdings.episodes,
        told=holdings.told,
        unconsolidated=holdings.unconsolidated,
        waiting=holdings.waiting,
        concepts=stats.concepts,
        lessons=stats.lessons,
        working=stats.working,
        working_expired=holdings.working_expired,
        working_long_lived=holdings.working_long_lived,
        unembedded=stats.unembedded,
        storage_bytes=stats.storage_bytes,
        importance=holdings.importance,
        largest=holdings.sources,
        oldest=sorted(holdings.sources, key=lambda s: (s.newest, s.agent_id)),
        duplicates=duplicates(own),
        looked_at=len(own),
    )


async def _run(context: SkillContext, asked: Ask) -> Management:
    try:
        question = StatsRequest(holdings=True, agent_id=asked.agent_id)
        stats: MemoryStats = await context.bus.ask(subjects.MEMORY_STATS, question, timeout_s=STATS_S)
    except CerebroError as e:
        raise memory_unavailable(e) from e
    if stats.holdings is None:
        raise SkillError("memory_unavailable", "this memory does not tell what it holds in detail")
    latest, _ = await gather(context, RecentFilter(agent_id=asked.agent_id), LOOKED_AT_MAX)
    held = held_of(stats, stats.holdings, latest)
    applied = await consolidate(context, Wanted(agent_id=asked.agent_id)) if "consolidate" in asked.apply else None
    return Management(held=held, advice=advise(held, asked.agent_id, context.now), applied=applied)


MEMORY_MANAGEMENT = Skill(
    name="memory_management",
    description="Report what memory holds (counts, sources, importance, duplicates, backlog) and what to do about it, each with its call.",
    input=Ask,
    output=Management,
    run=_run,
)
