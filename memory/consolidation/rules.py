"""The law of consolidation: which sources belong together, which standing concept they join, and what a concept is made of them.

Pure: the same sources, in whatever order, give the same plan and the same concepts.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from memory.consolidation.candidates import blocking_keys
from memory.consolidation.confidence import confidence
from memory.consolidation.conflicts import conflicts
from memory.consolidation.extract import contradictions, name
from memory.consolidation.grouping import Group, groups
from memory.consolidation.knowledge import knowledge_type
from memory.consolidation.likeness import Profile, enough, likeness, profiles
from memory.consolidation.source import Gathering, Plan, Source, Standing
from schemas.concepts import ConceptFormed, Statement
from schemas.words import LIST_LEN_MAX

GROUP_LEN_MIN: Final = 2
"""Fewest sources that form a concept: one alone is an episode, and stays one."""
COMPARED_MAX: Final = 64
"""Most sources of standing concepts that one group is compared with."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Where a concept has no source, its words have no time."""
SOURCES_MAX: Final = LIST_LEN_MAX
"""Most sources of one concept; when it is full, a new one is formed."""


def plan(sources: Sequence[Source], standings: Sequence[Standing] = ()) -> Plan:
    """What to do with `sources`: which form concepts, which join one of `standings`, and which are alone."""
    found = profiles([*sources, *(s for standing in standings for s in shown_by(standing))])
    loose = found[: len(sources)]
    known = _Known(found[len(sources) :], standings)
    forming: list[Gathering] = []
    joining: dict[str, list[Profile]] = {}
    alone: dict[str, tuple[str, ...]] = {}
    for group in groups(loose):
        if (standing := known.nearest(group)) is not None:
            joining.setdefault(standing.id, []).extend(group.members)
        elif len(group.members) >= GROUP_LEN_MIN:
            if any(p.source.is_new for p in group.members):
                forming.append(Gathering(sources=tuple(p.source for p in group.members)))
        elif group.centre.source.is_new:
            alone[group.centre.source.id] = group.centre.key_terms
    gatherings = [*(_joined(standing, joining[standing.id]) for standing in standings if standing.id in joining), *forming]
    return Plan(gatherings=tuple(sorted(gatherings, key=_first)), alone=alone)


def shown_by(standing: Standing) -> tuple[Source, ...]:
    """What new sources are compared with: the concept's sources, and its own words where somebody told it or it has no source."""
    if standing.sources and standing.told is None:
        return standing.sources
    return (
        *standing.sources,
        Source(id=standing.id, agent="", text=f"{standing.concept}: {standing.content}", at=EPOCH, is_new=False),
    )


class _Known:
    """Standing concepts, found by the heaviest terms of what they show and by what that makes claims about."""

    def __init__(self, found: Sequence[Profile], standings: Sequence[Standing]) -> None:
        self._shown = list(zip(found, (standing for standing in standings for _ in shown_by(standing)), strict=True))
        self._blocks: dict[str, list[int]] = {}
        for place, (profile, _) in enumerate(self._shown):
            for key in blocking_keys(profile):
                self._blocks.setdefault(key, []).append(place)

    def nearest(self, group: Group) -> Standing | None:
        """The one that the centre of `group` is most like, if it is like one enough and there is room in it."""
        met: Counter[int] = Counter()
        for key in blocking_keys(group.centre):
            met.update(self._blocks.get(key, ()))
        best: tuple[float, str] = (0.0, "")
        chosen = None
        for place in sorted(met, key=lambda p: (-met[p], p))[:COMPARED_MAX]:
            profile, standing = self._shown[place]
            score = (_scored(group.centre, profile), standing.id)
            if score > best and score[0] > 0 and len(standing.source_ids) + len(group.members) <= SOURCES_MAX:
                best, chosen = score, standing
        return chosen


def _scored(centre: Profile, shown: Profile) -> float:
    """Their likeness; 0 where it is not enough."""
    score = likeness(centre, shown)
    agents = (centre.source.agent, shown.source.agent or centre.source.agent)
    return score if score >= enough(agents) else 0.0


def _joined(standing: Standing, members: Sequence[Profile]) -> Gathering:
    room = SOURCES_MAX - len(standing.source_ids)
    sources = sorted((p.source for p in members), key=lambda s: s.order)
    return Gathering(sources=tuple(sources[:room]), standing=standing)


def _first(gathering: Gathering) -> tuple[object, ...]:
    return min(source.order for source in gathering.sources)


def told_again(standing: Standing, erased: Collection[str]) -> ConceptFormed | None:
    """A concept as somebody told it, without sources that must not be known any more; None where consolidation formed it.

    The sources that have joined it since wait for the next run.
    """
    if standing.told is None or standing.told_confidence is None:
        return None
    return ConceptFormed(
        concept=standing.concept,
        content=standing.told,
        knowledge_type=standing.knowledge_type,
        confidence_score=standing.told_confidence,
        source_episodes=[ident for ident in standing.source_ids if ident not in erased],
    )


def without(standing: Standing, erased: Collection[str]) -> Gathering | None:
    """What is left of a concept that consolidation formed, as if some of its sources had never been; None where it is too little.

    What is left beyond the sources at hand waits for the next run.
    """
    left = tuple(s for s in standing.sources if s.id not in erased)
    return Gathering(sources=left) if len(left) >= GROUP_LEN_MIN else None


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What the sources of a gathering come to, but for the summary in words."""

    statements: tuple[Statement, ...]
    contradicts: tuple[str, ...]
    confidence: float


def judge(gathering: Gathering) -> Judgement:
    """Where the sources contradict each other, and how sure that leaves the concept."""
    standing, known = gathering.standing, gathering.known
    statements = conflicts(known, standing.statements if standing else ())
    against = tuple(dict.fromkeys(s.episode_id for s in statements if s.stance == "against"))
    unseen = len(set(gathering.source_ids) - {source.id for source in known})
    told = standing.told_confidence if standing else None
    return Judgement(statements=statements, contradicts=against, confidence=confidence(known, unseen, against, told))


def concept(gathering: Gathering, judgement: Judgement, summary: str, run: str) -> ConceptFormed:
    """The entry of the log that forms the concept, or its next version."""
    standing, known = gathering.standing, gathering.known
    kind = standing.knowledge_type if standing and standing.told is not None else knowledge_type(known)
    return ConceptFormed(
        concept=standing.concept if standing else name(known),
        content="\n".join(part for part in (summary, contradictions(judgement.statements)) if part),
        knowledge_type=kind,
        confidence_score=judgement.confidence,
        source_episodes=list(gathering.source_ids),
        origin="consolidated",
        consolidated=sorted(source.id for source in gathering.sources),
        contradicts=list(judgement.contradicts),
        statements=list(judgement.statements),
        run=run,
    )
