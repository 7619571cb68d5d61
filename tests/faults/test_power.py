"""The power is cut at random moments under load: what was acknowledged is there afterwards, once, and the mesh goes on by itself."""

import asyncio
import random
import time
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.faults import disk
from tests.faults.chances import Chances, number
from tests.faults.disk import CachedDisk, Disk, Journal
from tests.faults.invariants import Judge
from tests.faults.load import Load
from tests.faults.power import LATE_S, SIZE_BYTES, Cut, Witness, cut, cut_while_recovering, judge_seen, kept_log, mesh_on, remains_on
from tests.faults.report import Report
from tests.integration.launched import Up
from tests.integration.rest import client, eventually, post

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(7_200),
    pytest.mark.skipif(disk.missing() is not None, reason=disk.missing() or ""),
]
TOGETHER: Final = 12
"""Most cuts of one mesh before the whole of it is started on what the last one left."""
BETWEEN_S: Final = (0.2, 2.5)
RECOVERING_S: Final = (0.05, 3.0)
"""How long what is cut again while it recovers has had for it."""
AGAIN: Final = 0.35
"""Share of the cuts that are followed by another while what the first left recovers."""
PACE_S: Final = 0.02
ALONE: Final = "cut"
RECOVERING: Final = "cut while recovering from one"
WHOLE: Final = "cut, then the whole mesh"
SERIES: Final[dict[str, tuple[type[Disk], Journal]]] = {
    "power-ordered": (Disk, "ordered"),
    "power-writeback": (Disk, "writeback"),
    "power-cached": (CachedDisk, "ordered"),
}


class Series:
    """Cuts of one mesh after another, each on what the one before left."""

    def __init__(self, what: str, place: Path, cuts: int) -> None:
        self.chances = Chances()
        self.report = Report(what, self.chances)
        self._left = cuts
        self._rng: random.Random = self.chances.random(what)
        self._witness = Witness()
        self._place = place
        self._kind, self._journal = SERIES[what]
        self._n = 0

    def _file(self) -> Path:
        self._n += 1
        return self._place / f"disk-{self._n}"

    @property
    def _at(self) -> Path:
        return self._place / "at"

    async def play(self) -> None:
        """Until all cuts are done; after the last one the whole mesh is judged once more."""
        found = self._kind(self._file(), self._journal).make(SIZE_BYTES)
        load: Load | None = None
        while True:
            began = time.monotonic()
            async with mesh_on(found, self._at, load) as up:
                if load is None:
                    load = Load(up, self.chances.random("load"), name="power", pace_s=PACE_S)
                else:
                    await works(up)
                    self.report.recovered(WHOLE, time.monotonic() - began)
                    await self._judged(up, load)
                if self._left == 0:
                    break
                plan = self._plan()
                cuts = await self._cut(found, up, load, len(plan))
            found.remove()
            for each, again in zip(cuts[:-1], plan, strict=False):
                await self._looked_at(each, again=again)
            found = await self._again(cuts[-1].disk) if plan[-1] else cuts[-1].disk
        found.remove()

    def _plan(self) -> list[bool]:
        """The next cuts of one mesh, at most TOGETHER: whether each is followed by another."""
        plan: list[bool] = []
        while self._left and len(plan) < TOGETHER:
            plan.append(self._left > 1 and self._rng.random() < AGAIN)
            self._left -= 1 + plan[-1]
        return plan

    async def _cut(self, found: Disk, up: Up, load: Load, times: int) -> list[Cut]:
        """Some cuts under load. The mesh goes on after each but the last."""
        cuts: list[Cut] = []
        async with self._witness.watching(up), load:
            for n in range(1, times + 1):
                await asyncio.sleep(self._rng.uniform(*BETWEEN_S))
                cuts.append(await cut(found, self._file(), up, load, self._witness, off=n == times))
                self.report.injected(ALONE if n < times else WHOLE)
        return cuts

    async def _looked_at(self, each: Cut, *, again: bool) -> None:
        """Log and tables on what a cut left, or on what another one leaves while the first is recovered from."""
        found = await self._again(each.disk) if again else each.disk
        async with remains_on(found, self._at) as remains:
            began = time.monotonic()
            await remains.start()
            await remains.caught_up()
            self.report.recovered(RECOVERING if again else ALONE, time.monotonic() - began)
            verdict = await remains.verdict(each.load, each.seen)
        self.report.verdict(verdict)
        assert not verdict.broken, verdict.broken
        found.remove()

    async def _again(self, found: Disk) -> Disk:
        """Cut once more, while what was left is recovered from."""
        left = await cut_while_recovering(found, self._at, self._rng.uniform(*RECOVERING_S), self._file())
        self.report.injected(RECOVERING)
        found.remove()
        return left

    async def _judged(self, up: Up, load: Load) -> None:
        judge = Judge(up, load, late_s=LATE_S)
        verdict = await judge.verdict()
        judge_seen(verdict, judge.ledger, self._witness.seen)
        if verdict.broken:
            verdict.figures["log kept in"] = str(kept_log(judge.ledger))
        self.report.verdict(verdict)
        assert not verdict.broken, verdict.broken


async def works(up: Up) -> None:
    """The mesh acknowledges something again."""
    async with client(up.run.http) as http:
        await eventually(lambda: post(http, "/memory/action", {"action_type": "after the cut"}, 202), 60, (httpx.HTTPError, AssertionError))


@pytest.mark.parametrize("what", SERIES)
async def test_what_was_acknowledged_is_there_once_after_power_cuts(what: str, place: Path) -> None:
    series = Series(what, place, max(1, number("CUTS") // len(SERIES)))
    try:
        await series.play()
    finally:
        series.report.print()
