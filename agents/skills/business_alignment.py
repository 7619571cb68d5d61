"""Business alignment: how far each item of work serves weighted objectives, why, and which objectives nothing serves.

How much an item contributes to an objective is what was declared (−1…1, below 0 works against it), or else estimated: how alike their
texts are (cosine of their terms, Salton and McGill 1983) and how many of the objective's tags the item has, joined as two independent
signs (1 − (1 − text)·(1 − tags)). An item's alignment is the mean of its contributions weighted by the objectives (a weighted
sum model, Fishburn 1967). An estimate is a hint from words, not knowledge of the business: it says which words.
"""

import asyncio
from collections import Counter
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from agents.relevance import similarity, terms
from agents.skills.skill import Skill, SkillContext, bad_input
from schemas.words import Signed, Tags

OBJECTIVES_MAX = 100
"""Most objectives."""
ITEMS_MAX = 500
"""Most items."""
TEXT_LEN_MAX = 10_000
"""Longest text of an objective or item, in characters."""
WEIGHT_MAX = 1e9
"""Largest weight of an objective."""
SERVES_MIN = 0.2
"""From this contribution on an item serves an objective."""
NOTED_MIN = 0.05
"""Smaller contributions are counted, but not told."""
TERMS_MAX = 8
"""Most shared terms that one reason names."""
DIGITS = 6
"""Decimal places of a figure; two alignments that agree up to here are tied."""

Name = Annotated[str, Meta(min_length=1, max_length=255)]
LongText = Annotated[str, Meta(max_length=TEXT_LEN_MAX)]


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """What the business wants, and how much beside the others."""

    id: Name
    text: LongText = ""
    tags: Tags = []
    weight: Annotated[float, Meta(ge=0, le=WEIGHT_MAX)] = 1.0


class WorkItem(msgspec.Struct, frozen=True, kw_only=True):
    """What could be, is or was done. `contributions` by objective go before any estimate."""

    id: Name
    text: LongText = ""
    tags: Tags = []
    contributions: dict[str, Signed] = {}


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be aligned with what."""

    objectives: Annotated[list[Objective], Meta(min_length=1, max_length=OBJECTIVES_MAX)]
    items: Annotated[list[WorkItem], Meta(max_length=ITEMS_MAX)]


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """How much an item contributes to an objective (−1…1), how much of its alignment that makes, and why."""

    objective: str
    contribution: float
    points: float
    basis: Literal["declared", "estimated"]
    why: str


class Aligned(msgspec.Struct, frozen=True, kw_only=True):
    """An item's alignment (−1…1) and place; 1 is best, tied items share theirs. Its contributions, the weightiest first."""

    id: str
    alignment: float
    rank: int
    contributions: list[Contribution]


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """An objective with its share of all weights, the largest contribution to it, and which items serve it or work against it."""

    objective: str
    weight_share: float
    best: float
    served_by: list[str]
    opposed_by: list[str]


class Alignment(msgspec.Struct, frozen=True, kw_only=True):
    """Items, the best aligned first; objectives as they were given; `uncovered` are served by no item, `unaligned` items serve none.

    `covered_share` is the share of the weights whose objectives are served.
    """

    items: list[Aligned]
    objectives: list[Coverage]
    uncovered: list[str]
    unaligned: list[str]
    covered_share: float


def align(objectives: list[Objective], items: list[WorkItem]) -> Alignment:
    """How far the items serve the objectives. Raises `SkillError` `bad_input` for names that stand twice or are unknown."""
    _check(objectives, items)
    total = sum(o.weight for o in objectives)
    judged = {item.id: [_judge(item, o, o.weight / total) for o in objectives] for item in items}
    sums = {ident: round(sum(c.points for c in row), DIGITS) for ident, row in judged.items()}
    order = sorted(sums, key=lambda ident: (-sums[ident], ident))
    coverage = [_coverage(o, o.weight / total, n, judged) for n, o in enumerate(objectives)]
    return Alignment(
        items=[
            Aligned(id=i, alignment=sums[i], rank=1 + sum(s > sums[i] for s in sums.values()), contributions=_told(judged[i]))
            for i in order
        ],
        objectives=coverage,
        uncovered=[c.objective for c in coverage if not c.served_by],
        unaligned=[ident for ident in order if all(c.contribution < SERVES_MIN for c in judged[ident])],
        covered_share=round(sum(c.weight_share for c in coverage if c.served_by), DIGITS),
    )


def _judge(item: WorkItem, objective: Objective, share: float) -> Contribution:
    declared = item.contributions.get(objective.id)
    amount, why = (declared, "declared") if declared is not None else _estimate(item, objective)
    return Contribution(
        objective=objective.id,
        contribution=round(amount, DIGITS),
        points=round(amount * share, DIGITS),
        basis="declared" if declared is not None else "estimated",
        why=why,
    )


def _estimate(item: WorkItem, objective: Objective) -> tuple[float, str]:
    by_text = similarity(item.text, objective.text)
    shared = sorted(set(item.tags) & set(objective.tags))
    by_tags = len(shared) / len(set(objective.tags)) if objective.tags else 0.0
    amount = 1.0 - (1.0 - by_text) * (1.0 - by_tags)
    if amount < NOTED_MIN:
        return amount, "nothing in common"
    reasons = [f"shared words: {', '.join(_shared_words(item.text, objective.text))}"] if by_text else []
    reasons += [f"shared tags: {', '.join(shared[:TERMS_MAX])}"] if shared else []
    return amount, "; ".join(reasons)


def _shared_words(a: str, b: str) -> list[str]:
    """The stems that both have, those that are commonest in both first."""
    first, second = Counter(terms(a)), Counter(terms(b))
    return sorted(first.keys() & second.keys(), key=lambda t: (-first[t] * second[t], t))[:TERMS_MAX]


def _told(row: list[Contribution]) -> list[Contribution]:
    noted = [c for c in row if abs(c.contribution) >= NOTED_MIN]
    return sorted(noted, key=lambda c: (-abs(c.points), -abs(c.contribution), c.objective))


def _coverage(objective: Objective, share: float, n: int, judged: dict[str, list[Contribution]]) -> Coverage:
    amounts = sorted(((row[n].contribution, ident) for ident, row in judged.items()), key=lambda a: (-a[0], a[1]))
    return Coverage(
        objective=objective.id,
        weight_share=round(share, DIGITS),
        best=max(0.0, amounts[0][0]) if amounts else 0.0,
        served_by=[ident for amount, ident in amounts if amount >= SERVES_MIN],
        opposed_by=[ident for amount, ident in reversed(amounts) if amount < 0],
    )


def _check(objectives: list[Objective], items: list[WorkItem]) -> None:
    known = {o.id for o in objectives}
    if len(known) < len(objectives):
        raise bad_input("two objectives have the same id", "$.objectives")
    if not any(o.weight for o in objectives):
        raise bad_input("no objective has a weight above 0", "$.objectives")
    if len({i.id for i in items}) < len(items):
        raise bad_input("two items have the same id", "$.items")
    for n, item in enumerate(items):
        if unknown := sorted(set(item.contributions) - known):
            raise bad_input(f"{item.id} contributes to unknown {', '.join(unknown[:10])}", f"$.items[{n}].contributions")


async def _run(_: SkillContext, asked: Question) -> Alignment:
    return await asyncio.to_thread(align, asked.objectives, asked.items)


BUSINESS_ALIGNMENT = Skill(
    name="business_alignment",
    description="Judge how far items of work serve weighted objectives, and why; name the objectives that nothing serves.",
    input=Question,
    output=Alignment,
    run=_run,
)
