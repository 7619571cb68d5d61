"""Each planted bug is caught by what the network does: a promise that would be broken by it is seen to be."""

import random
from pathlib import Path
from typing import Final

import msgspec
import pytest

from tests.faults.behind import Behind
from tests.faults.chances import Chances
from tests.faults.invariants import Judge
from tests.faults.load import Load
from tests.faults.network import TROUBLES, Network, Trouble
from tests.faults.planted import BUGS, Planted
from tests.faults.planting import Change, plant, until_caught
from tests.faults.proxy import Proxy, Weather
from tests.faults.report import Report

PACE_S = 0.02
pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_500)]


class Caught(msgspec.Struct, frozen=True):
    """A bug, and by which troubles between whom it is caught; `own`: it does not come to a judgement, as the mesh is not well again."""

    bug: Planted
    troubles: tuple[Trouble, ...]
    links: tuple[tuple[str, str], ...]
    own: bool = False


def some(*kinds: str) -> tuple[Trouble, ...]:
    found = tuple(trouble for trouble in TROUBLES if trouble.kind in kinds)
    assert len(found) == len(kinds)
    return found


def _late(proxy: Proxy, rng: random.Random) -> None:
    proxy.weather = Weather(delay_s=rng.uniform(1.5, 2.5))


def planted(name: str, shows: str, *changes: Change, only: tuple[str, ...] = ("episodes", "bus")) -> Planted:
    return Planted(name=name, changes=changes, victims=(), shows=shows, only=only)


[UNDER_A_NEW_ID] = [bug for bug in BUGS if bug.name == "a publish is tried again under a new id"]
ALL: Final = (
    Caught(
        planted(
            "a publish whose connection was cut is taken for acknowledged",
            "acknowledged episodes are not in the log",
            Change(
                "bus/connection.py",
                "                if loop.time() + RETRY_PAUSE_S >= deadline",
                "                return Acknowledged(1, duplicate=False)\n                if loop.time() + RETRY_PAUSE_S >= deadline",
            ),
            only=("episodes",),
        ),
        some("cut in mid-frame", "half-open to the server"),
        (("gateway", "nats"),),
    ),
    Caught(UNDER_A_NEW_ID, (Trouble("delay, long", _late),), (("gateway", "nats"),)),
    Caught(
        planted(
            "what was lost on the way is passed over",
            "have no row",
            Change("bus/log.py", "                return batch[:i]", "                break"),
        ),
        some("swallowed, then reset"),
        (("memory", "nats"),),
    ),
    Caught(
        planted(
            "nobody asks whether the other end is there",
            "not well again within",
            Change("bus/connection.py", "ping_interval=settings.ping_s,", "ping_interval=3_600,"),
        ),
        some("half-open"),
        (("nexus", "nats"), ("memory", "nats")),
        own=True,
    ),
    Caught(
        planted(
            "what a lost client holds in PostgreSQL is left to it",
            "not well again within",
            Change("memory/database.py", "str(int(self._settings.statement_timeout_s * 1000))", '"0"'),
            Change("memory/main.py", '            tasks.create_task(end_lost(database, settings), name="lost sessions")\n', ""),
        ),
        some("half-open", "half-open to the server"),
        (("memory", "postgres"),),
        own=True,
    ),
)


@pytest.mark.parametrize("case", ALL, ids=[case.bug.name for case in ALL])
async def test_it_is_caught(case: Caught, tmp_path: Path) -> None:
    bug = case.bug
    plant(bug.changes, tmp_path / "code")
    chances = Chances()
    mesh = Behind(tmp_path / "data", chances.random("proxies"), code=tmp_path / "code")
    try:
        mesh.wait_until_ready()
        network = Network(mesh, chances.random("troubles"), Report("network, planted", chances), case.troubles, case.links)
        load = Load(mesh, chances.random("load"), name="planted", only=bug.only, pace_s=PACE_S)
        found = await until_caught(bug.shows, load, Judge(mesh, load), network.trouble, judged=not case.own)
        print(f"seed {chances.seed}: {bug.name}: {found}")
    finally:
        mesh.stop()
