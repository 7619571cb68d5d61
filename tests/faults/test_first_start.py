"""The power is cut during and right after the first start: keys, the database's password and who is admitted are on disk like the rest."""

import asyncio
import subprocess
from pathlib import Path
from typing import Final

import pytest

from bus.connection import Bus
from bus.errors import NotAdmitted
from tests.faults import disk
from tests.faults.chances import Chances, number
from tests.faults.disk import CachedDisk, Disk
from tests.faults.power import SIZE_BYTES, mesh_on, without_power
from tests.faults.report import Report
from tests.integration.launched import AGENT, Up

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(3_600),
    pytest.mark.skipif(disk.missing() is not None, reason=disk.missing() or ""),
]
STARTING_S: Final = (0.3, 12.0)
"""When in a first start the power is cut: from before there is anything to after it is ready."""


def agent(action: str, name: str, data: Path) -> None:
    ended = subprocess.run([*AGENT, action, name, "--data", data], check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, (action, name, ended.stdout, ended.stderr)


async def admits(up: Up, name: str) -> bool:
    try:
        bus = await Bus.connect(up.bus_settings(name), name, 30.0)
    except NotAdmitted:
        return False
    await bus.close()
    return True


@pytest.mark.parametrize("kind", [Disk, CachedDisk])
async def test_who_is_admitted_survives_a_cut(kind: type[Disk], place: Path) -> None:
    made = kind(place / "disk").make(SIZE_BYTES)
    async with mesh_on(made, place / "at") as up:
        for name in ("kept", "rotated", "revoked"):
            agent("add", name, up.data)
        agent("rotate", "rotated", up.data)
        agent("revoke", "revoked", up.data)
        seeds = {path.name: path.read_bytes() for path in (up.data / "keys").glob("*.nk")}
        with without_power(up, off=True):
            left = made.copied(place / "left")
    async with mesh_on(left, place / "at") as up:
        assert {path.name: path.read_bytes() for path in (up.data / "keys").glob("*.nk")} == seeds
        assert [name for name in ("kept", "rotated") if await admits(up, name)] == ["kept", "rotated"]
        assert "revoked.nk" not in seeds


async def test_a_first_start_that_was_cut_off_is_done_again(place: Path) -> None:
    chances = Chances()
    rng = chances.random("first start")
    with Report("first-start", chances) as report:
        for _ in range(max(1, number("CUTS") // 10)):
            made = rng.choice([Disk, CachedDisk])(place / "disk").make(SIZE_BYTES)
            with made.mounted(place / "at"):
                up = Up(place / "at" / "data")
                await asyncio.sleep(rng.uniform(*STARTING_S))
                with without_power(up, off=True):
                    left = made.copied(place / "left")
            report.injected("cut in the first start")
            async with mesh_on(left, place / "at") as up:
                assert await admits(up, "operator")
