"""The shape of every protocol's hands: fold an entry, name the duties, answer questions."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from bus.subjects import Subject
from schemas.entry import Entry


class Duty(msgspec.Struct, frozen=True):
    """Something this agent should do now, because of what stands in the log.

    Duties are derived from state alone, so a restarted agent finds them again, and doing one twice changes nothing
    (compare-and-set, or an id that is derived). `key` names it: one is under way at a time. A `shared` duty is that of
    every built-in agent; they take turns by rank, so that usually one does it and another steps in when that one is away.
    """

    key: str
    run: Callable[[], Awaitable[None]]
    shared: bool = False


Question = tuple[Subject, Callable[[Any], Awaitable[Any]]]


class MeshProtocol(Protocol):
    """One protocol in one agent."""

    def apply(self, entry: Entry) -> None:
        """Fold one entry of the log into the state. Called in the order of the log, also at start; does nothing else."""

    def duties(self, now: datetime) -> Sequence[Duty]:
        """What is to be done now. Called after each batch of entries and at every tick, once the log has been read."""

    def questions(self) -> Sequence[Question]:
        """The questions this protocol answers."""
