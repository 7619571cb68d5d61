"""Conflicts: claims of several sources about one thing that cannot all be true. Both sides are kept, with their times."""

from collections.abc import Sequence
from typing import Final

import msgspec

from memory.consolidation.claims import claims
from memory.consolidation.source import Source
from schemas.concepts import STATEMENT_LEN_MAX, STATEMENTS_MAX, Statement

SIDES_SHOWN_MAX: Final = 8
"""Most statements of one side of a conflict that are kept; the latest."""


class Said(msgspec.Struct, frozen=True):
    """One source's claim about something."""

    source: Source
    says: str
    text: str


def conflicts(sources: Sequence[Source], before: Sequence[Statement] = ()) -> tuple[Statement, ...]:
    """The statements of every conflict among `sources`, with those known `before` from sources that are not among them.

    What more agents say is held, then what more sources say, then what was said last. The order of `sources` means nothing.
    """
    about: dict[str, dict[str, Said]] = {}
    for statement in before:
        about.setdefault(statement.about, {})[statement.episode_id] = _remembered(statement)
    for source in sources:
        for claim in claims(source.text):
            said = Said(source, claim.says[:STATEMENT_LEN_MAX], claim.text[:STATEMENT_LEN_MAX])
            about.setdefault(claim.about[:STATEMENT_LEN_MAX], {})[source.id] = said
    found = [statement for key in sorted(about) for statement in _conflict(key, list(about[key].values()))]
    return tuple(_once(found)[:STATEMENTS_MAX])


def _conflict(about: str, said: list[Said]) -> list[Statement]:
    """The statements of one conflict, the held side first; none where all say the same."""
    sides: dict[str, list[Said]] = {}
    names = {one.says for one in said}
    for one in sorted(said, key=lambda s: s.source.order):
        sides.setdefault(_shortest(one.says, names), []).append(one)
    if len(sides) < 2:
        return []
    held = max(sides.values(), key=_weight)
    order = [held, *(side for _, side in sorted(sides.items()) if side is not held)]
    return [_statement(about, one, is_held=side is held) for side in order for one in side[-SIDES_SHOWN_MAX:]]


def _weight(side: list[Said]) -> tuple[int, int, object]:
    return len({one.source.agent for one in side}), len(side), side[-1].source.order


def _shortest(says: str, all_said: set[str]) -> str:
    """`postgresql 15` says what `postgresql` does, and more: the shortest of those that agree stands for them."""
    return min((other for other in all_said if says == other or says.startswith(f"{other} ")), key=len)


def _once(found: list[Statement]) -> list[Statement]:
    """Without conflicts between the same sources about another form of the same sentences."""
    by_about: dict[str, list[Statement]] = {}
    for statement in found:
        by_about.setdefault(statement.about, []).append(statement)
    kept: dict[frozenset[tuple[str, str]], list[Statement]] = {}
    for statements in by_about.values():
        kept.setdefault(frozenset((s.episode_id, s.text) for s in statements), statements)
    return [statement for statements in kept.values() for statement in statements]


def _statement(about: str, said: Said, *, is_held: bool) -> Statement:
    return Statement(
        about=about,
        says=said.says,
        text=said.text,
        stance="held" if is_held else "against",
        episode_id=said.source.id,
        agent_id=said.source.agent,
        at=said.source.at,
    )


def _remembered(statement: Statement) -> Said:
    """A statement of before as a claim, so that it counts again."""
    source = Source(id=statement.episode_id, agent=statement.agent_id, text=statement.text, at=statement.at, is_new=False)
    return Said(source, statement.says, statement.text)
