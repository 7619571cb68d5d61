"""The actor's loop where one of its protocols has a fault: the others go on."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from agents.actor import Actor
from agents.protocol import Duty
from schemas.entry import Entry
from tests.memory.conftest import START


class Clock:
    """As much of a bus as a look needs."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class Protocol:
    """Counts what it is given; with `fault` it raises instead."""

    def __init__(self, *, fault: bool) -> None:
        self.fault = fault
        self.applied: list[int] = []
        self.done = asyncio.Event()

    def apply(self, entry: Entry) -> None:
        if self.fault:
            raise OverflowError("a date that is none")
        self.applied.append(entry.seq)

    def duties(self, now: datetime) -> Sequence[Duty]:
        if self.fault:
            raise OverflowError("a date that is none")
        return [Duty("do it", self._do)]

    def questions(self) -> Sequence[Any]:
        return []

    async def _do(self) -> None:
        self.done.set()


def entry(seq: int) -> Entry:
    return Entry(seq=seq, time=START, event_id="e", subject="s", name="n", tokens={}, body=None)


async def test_a_fault_in_one_protocol_leaves_the_others_at_work(caplog: pytest.LogCaptureFixture) -> None:
    bad, good = Protocol(fault=True), Protocol(fault=False)
    actor = Actor(Clock(), lambda _: 0, (bad, good))  # type: ignore[arg-type]
    for seq in (1, 2):
        actor._apply(entry(seq))
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            actor._look(group)
    assert good.applied == [1, 2]
    assert good.done.is_set()
    said = [record.getMessage() for record in caplog.records]
    assert sum("is passed over by Protocol" in text for text in said) == 2
    assert sum("cannot be told" in text for text in said) == 1
