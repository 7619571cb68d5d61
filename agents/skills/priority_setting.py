"""Priority setting: items ranked by a weighted sum of their criteria, and how firm the first place is.

Scores are normalised per criterion to 0…1 between the worst and the best item (all alike: 1 for everyone), turned round where
less is better, and weighted by the shares of the weights. `sensitivity` is per criterion the smallest relative change of
its weight that puts another item first (0.1: ten per cent more; −0.5: half of it), or null where no change does.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from agents.skills.skill import Skill, SkillContext, bad_input

CRITERIA_MAX = 100
"""Most criteria of one ranking."""
ITEMS_MAX = 1_000
"""Most items of one ranking."""
AMOUNT_MAX = 1e12
"""Largest weight or score, in amount."""
DIGITS = 9
"""Decimal places of a score: two that agree up to here are tied."""

Name = Annotated[str, Meta(min_length=1, max_length=255)]


class Criterion(msgspec.Struct, frozen=True, kw_only=True):
    """What counts, and how much beside the others. `maximise` is false where less is better."""

    name: Name
    weight: Annotated[float, Meta(ge=0, le=AMOUNT_MAX)]
    maximise: bool = True


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What is ranked, with its score in each criterion, in any unit."""

    id: Name
    scores: dict[str, Annotated[float, Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]]


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be ranked by what."""

    criteria: Annotated[list[Criterion], Meta(min_length=1, max_length=CRITERIA_MAX)]
    items: Annotated[list[Item], Meta(max_length=ITEMS_MAX)]


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """An item's place: `rank` 1 is best, tied items share theirs."""

    id: str
    score: float
    rank: int


class Priorities(msgspec.Struct, frozen=True, kw_only=True):
    """The items, best first, and per criterion the change of its weight that puts another first, or null."""

    ranking: list[Ranked]
    sensitivity: dict[str, float | None]


def priorities(criteria: list[Criterion], items: list[Item]) -> Priorities:
    """Rank the items. Raises `SkillError` `bad_input` where a score is missing or a name stands twice."""
    _check(criteria, items)
    values = {c.name: _normalised([i.scores[c.name] for i in items], maximise=c.maximise) for c in criteria}
    total = sum(c.weight for c in criteria)
    sums = [round(sum(c.weight * values[c.name][n] for c in criteria) / total, DIGITS) for n in range(len(items))]
    order = sorted(range(len(items)), key=lambda n: (-sums[n], items[n].id))
    ranking = [Ranked(id=items[n].id, score=sums[n], rank=1 + sum(s > sums[n] for s in sums)) for n in order]
    sensitivity = {c.name: _swap(c, criteria, values, order) for c in criteria}
    return Priorities(ranking=ranking, sensitivity=sensitivity)


def _normalised(scores: list[float], *, maximise: bool) -> list[float]:
    if not scores:
        return []
    low, high = min(scores), max(scores)
    if low == high:
        return [1.0] * len(scores)
    return [(s - low) / (high - low) if maximise else (high - s) / (high - low) for s in scores]


def _swap(c: Criterion, criteria: list[Criterion], values: dict[str, list[float]], order: list[int]) -> float | None:
    """The smallest relative change of this weight at which another item reaches the first.

    With weight w of the criterion made w·(1+x), another item n is level with the first where
    Σ weights·(first − n) + x·w·(first − n in this criterion) = 0; a weight cannot fall below 0, so x > −1: at −1 they
    are level, and no further change puts the other one first.
    """
    first, *rest = order or [0]
    changes: list[float] = []
    for n in rest:
        here = c.weight * (values[c.name][first] - values[c.name][n])
        ahead = sum(k.weight * (values[k.name][first] - values[k.name][n]) for k in criteria)
        if here and -ahead / here > -1 + 10**-DIGITS:
            changes.append(-ahead / here)
    smallest = min(changes, key=lambda x: (abs(x), x), default=None)
    return None if smallest is None else round(smallest, DIGITS) + 0.0  # + 0.0 makes -0.0 plain


def _check(criteria: list[Criterion], items: list[Item]) -> None:
    names = [c.name for c in criteria]
    if len(set(names)) < len(names):
        raise bad_input("two criteria have the same name", "$.criteria")
    if not any(c.weight for c in criteria):
        raise bad_input("no criterion has a weight above 0", "$.criteria")
    if len({i.id for i in items}) < len(items):
        raise bad_input("two items have the same id", "$.items")
    for n, item in enumerate(items):
        if missing := [name for name in names if name not in item.scores]:
            raise bad_input(f"{item.id} has no score for {', '.join(missing)}", f"$.items[{n}].scores")


async def _run(_: SkillContext, ranking: Ranking) -> Priorities:
    return priorities(ranking.criteria, ranking.items)


PRIORITY_SETTING = Skill(
    name="priority_setting",
    description="Rank items by weighted criteria, and tell how much each weight may change before another item comes first.",
    input=Ranking,
    output=Priorities,
    run=_run,
)
