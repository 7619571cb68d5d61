"""What networks do to a mesh at random points, one trouble after the other, each until the mesh is well again.

Some troubles pass: then the mesh is well again after they have. What was lost by a half-open or a full connection does not come back: its
ends have to find out for themselves.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import httpx
import msgspec

from tests.faults.behind import Behind
from tests.faults.proxy import BOTH, Direction, Proxy, Weather
from tests.faults.report import Report
from tests.faults.well import unwell

LASTS_S: Final = (0.2, 10.0)
"""How long what passes lasts: less and more than a lease, a statement's time and a connection's."""
SOON_S: Final = (0.1, 2.0)
"""Sooner than a reader of the log takes silence for the end of its consumer: it goes on behind a hole."""
PAUSE_S_MAX: Final = 1.0
"""Longest pause between what is well again and the next trouble."""
ALL_SHARE: Final = 0.2
"""Of troubles that hit everybody before a server; the others hit one part."""
WELL_S: Final = 60.0
"""Within this the mesh is well again: after a trouble that has passed, or since one that does not. Both ends of a connection to NATS know
after twice three pings of 5 s; memory gives up a statement, then its cancelling, each after 10 s, and PostgreSQL its transaction after
another 10 s.
"""
LOOK_S: Final = 0.1


class Trouble(msgspec.Struct, frozen=True):
    """What is done to a proxy, by chance; `passes`: it is over after so long as `lasts_s` says, else the ends must find out."""

    kind: str
    begin: Callable[[Proxy, random.Random], Any]
    passes: bool = True
    lasts_s: tuple[float, float] = LASTS_S


def _delay(proxy: Proxy, rng: random.Random) -> None:
    proxy.weather = Weather(delay_s=rng.uniform(0.005, 0.5), jitter_s=rng.uniform(0, 0.5))


def _throttle(proxy: Proxy, rng: random.Random) -> None:
    proxy.weather = Weather(bytes_per_s=rng.uniform(2_000, 100_000))


def _cut(proxy: Proxy, rng: random.Random) -> None:
    proxy.cut(rng.randrange(1, 5_000), rng.choice(BOTH))


def _never_told(proxy: Proxy, _rng: random.Random) -> None:
    proxy.half_open()
    proxy.swallow_new()


def _half_open(*directions: Direction) -> Callable[[Proxy, random.Random], int]:
    return lambda proxy, _: proxy.half_open(*directions)


TROUBLES: Final = (
    Trouble("delay", _delay),
    Trouble("throttle", _throttle),
    Trouble("cut in mid-frame", _cut),
    Trouble("swallowed, then reset", _half_open("down"), lasts_s=SOON_S),
    Trouble("half-open", _half_open(), passes=False),
    Trouble("half-open to the server", _half_open("up"), passes=False),
    Trouble("half-open from the server", _half_open("down"), passes=False),
    Trouble("stall", lambda proxy, _: proxy.stall(), passes=False),
    Trouble("never told", _never_told),
    Trouble("refuse", lambda proxy, _: proxy.refuse()),
)


class Network:
    """Of one mesh. Each trouble is told to `report`. `links`: only those are hit, each alone."""

    def __init__(
        self,
        mesh: Behind,
        rng: random.Random,
        report: Report,
        troubles: Sequence[Trouble] = TROUBLES,
        links: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._mesh = mesh
        self._rng = rng
        self._report = report
        self._troubles = troubles
        self._links = links

    async def trouble(self) -> list[str]:
        """One trouble; returns when the mesh is well again, with what is not if that takes too long."""
        rng, mesh = self._rng, self._mesh
        await asyncio.sleep(rng.uniform(0, PAUSE_S_MAX))
        trouble = rng.choice(self._troubles)
        part, server = rng.choice(self._links or list(mesh.links))
        hit = mesh.before(server) if not self._links and rng.random() < ALL_SHARE else [mesh.links[part, server]]
        lasts_s = rng.uniform(*trouble.lasts_s)
        began = time.monotonic()
        for proxy in hit:
            await mesh.do(lambda proxy=proxy: trouble.begin(proxy, rng))  # type: ignore[misc]
        self._report.injected(f"{trouble.kind} before {server}")
        if trouble.passes:
            await asyncio.sleep(lasts_s)
            began = time.monotonic()
            await self._calm(hit)
        broken = await well(mesh)
        took_s = time.monotonic() - began
        self._report.recovered(trouble.kind, took_s)
        print(f"{trouble.kind} between {part if len(hit) == 1 else 'all'} and {server}: well again {took_s:.1f} s after", flush=True)
        await self._calm(hit)
        return [f"{trouble.kind} between {part if len(hit) == 1 else 'all'} and {server}: {b}" for b in broken]

    async def _calm(self, hit: Sequence[Proxy]) -> None:
        for proxy in hit:
            await self._mesh.do(proxy.calm)


async def well(mesh: Behind, wait_s: float = WELL_S) -> list[str]:
    """Wait until what is written is persisted and everything is healthy; what is not, if that takes too long."""
    last = "nobody looked"
    async with httpx.AsyncClient(timeout=20.0, trust_env=False) as http:
        try:
            async with asyncio.timeout(wait_s):
                while last := await unwell(http, mesh.run.http, persisted=True):
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            return [f"not well again within {wait_s:g} s: {last}"]
    return []
