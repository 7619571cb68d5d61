"""What consolidation works with: sources (episodes and lessons), standing concepts, and what becomes of them. Values only."""

from datetime import datetime
from typing import Any

import msgspec

from schemas.concepts import Origin, Statement


class Source(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """An episode or lesson as far as consolidation looks at it. `text` has no speaker before it; `links` are what it refers to.

    `vector` is a unit vector (numpy) of the current space, None where it has none yet. `is_new`: not looked at before.
    """

    id: str
    agent: str
    text: str
    at: datetime
    action_type: str = ""
    session: str | None = None
    outcome: str = ""
    links: tuple[str, ...] = ()
    is_new: bool = True
    vector: Any = None

    @property
    def order(self) -> tuple[datetime, str]:
        """The order in which sources are told: by their time."""
        return (self.at, self.id)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A concept as it stands. `sources` are those of `source_ids` that were loaded: the ones it quotes, then the latest.

    `told` is the text that somebody told it in, and `told_confidence` how sure they were; None where consolidation formed it.
    """

    id: str
    version: int
    concept: str
    content: str
    knowledge_type: str
    origin: Origin
    source_ids: tuple[str, ...]
    sources: tuple[Source, ...]
    statements: tuple[Statement, ...] = ()
    told: str | None = None
    told_confidence: float | None = None


class Gathering(msgspec.Struct, frozen=True, kw_only=True):
    """Sources that tell of the same, and the standing concept they join; None: they form a new one."""

    sources: tuple[Source, ...]
    standing: Standing | None = None

    @property
    def known(self) -> tuple[Source, ...]:
        """Every source whose text is at hand, in the order of their times."""
        before = self.standing.sources if self.standing else ()
        return tuple(sorted({s.id: s for s in (*before, *self.sources)}.values(), key=lambda s: s.order))

    @property
    def source_ids(self) -> tuple[str, ...]:
        """Every source, those of the standing concept first, new ones in the order of their times."""
        before = self.standing.source_ids if self.standing else ()
        return tuple(dict.fromkeys((*before, *(s.id for s in sorted(self.sources, key=lambda s: s.order)))))


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at some sources comes to. `alone`: new sources that are like nothing else, with the terms to find them by.

    What is in neither is looked at again: its group was full.
    """

    gatherings: tuple[Gathering, ...]
    alone: dict[str, tuple[str, ...]]
