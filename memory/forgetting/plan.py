"""What one forgetting erases, before it is told; and the entries that tell it. Pure."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, Final

import msgspec

from bus import subjects
from schemas.concepts import ConceptFormed
from schemas.forgetting import PLACES_MAX, Forgotten

IDS_MAX: Final = 1_000
"""Most ids in one entry."""
REMAINS_MAX: Final = 1_000
"""Most events that a receipt names as remaining."""


class Event(msgspec.Struct, frozen=True):
    """An event as the database knows it."""

    id: str
    kind: str
    subject: str
    seq: int

    @property
    def name(self) -> str:
        """Its row in the table of subjects; empty for none."""
        found = subjects.find(self.subject)
        return found[0].name if found else ""

    @property
    def thing(self) -> str:
        """The proposal or task that it is about: the third part of its subject."""
        return self.subject.split(".")[2]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`events` are what was asked for and what goes with it; `tellings` the entries that told the concepts concerned; `places`
    further places of the log that hold any of it; `letters` ids that only dead letters have.
    """

    selector: str
    events: Sequence[Event] = ()
    tellings: Sequence[Event] = ()
    concepts: Sequence[str] = ()
    rewritten: Sequence[tuple[str, ConceptFormed]] = ()
    places: Sequence[int] = ()
    letters: Sequence[str] = ()
    dead_letters: int = 0
    complete: bool = True
    remains: Sequence[str] = ()

    @property
    def empty(self) -> bool:
        return not (self.events or self.concepts or self.dead_letters)

    def told(self, working_items: int) -> list[Forgotten]:
        """The entries that tell of it, each within its limits; the counts stand in the first."""
        erased = [*self.events, *self.tellings]
        ids = [*dict.fromkeys([*(event.id for event in erased), *self.letters])]
        seqs = sorted({*(event.seq for event in erased), *self.places})
        rewritten = [ident for ident, _ in self.rewritten]
        cut = [_cut(ids, IDS_MAX), _cut(self.concepts, IDS_MAX), _cut(rewritten, IDS_MAX), _cut(seqs, PLACES_MAX)]
        rows: list[tuple[Any, ...]] = list(zip_longest(*cut, fillvalue=[])) or [([], [], [], [])]
        told = [
            Forgotten(ids=row[0], concepts=row[1], rewritten=row[2], seqs=row[3], selector=self.selector, pieces=len(rows)) for row in rows
        ]
        return [self._counted(told[0], working_items), *told[1:]]

    def _counted(self, first: Forgotten, working_items: int) -> Forgotten:
        lessons = sum(event.kind == "lesson" for event in self.events)
        return msgspec.structs.replace(
            first,
            episodes=len(self.events) - lessons,
            lessons=lessons,
            working_items=working_items,
            dead_letters=self.dead_letters,
            complete=self.complete,
            remains=list(self.remains)[:REMAINS_MAX],
        )


def _cut(items: Sequence[Any], length: int) -> list[list[Any]]:
    return [list(items[start : start + length]) for start in range(0, len(items), length)]
