"""Planting a bug: a mesh that runs a copy of the product in which one promise is broken on purpose must be found out.

A bug is text replaced in a file of the product, in a copy of it, so that the list cannot rot: where the text has gone, planting fails.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import pytest

from tests.faults.invariants import Judge
from tests.faults.load import Load
from tests.integration.launched import Up

ROOT: Final = Path(__file__).parents[2]
ROOMS: Final = ("agents", "bus", "cerebro", "gateway", "memory", "schemas")
HARMED_MAX: Final = 30
"""Each bug must be caught within so many injections or troubles."""
JUDGED_EVERY: Final = 5
DRAIN_S: Final = 30.0
IN_MEMORY: Final = Path("/dev/shm")
"""Where a mesh's folder is made if it can be: no fault here is one of the disk."""


class Change(msgspec.Struct, frozen=True):
    """`old`, which stands once in `file`, becomes `new`."""

    file: str
    old: str
    new: str


def plant(changes: tuple[Change, ...], code: Path) -> None:
    """A copy of the product in `code`, with these changes in it."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, code / room, ignore=shutil.ignore_patterns("__pycache__"))
    for change in changes:
        file = code / change.file
        text = file.read_text()
        assert text.count(change.old) == 1, f"{change.old!r} stands {text.count(change.old)} times in {change.file}"
        file.write_text(text.replace(change.old, change.new))


@contextmanager
def mesh(environment: dict[str, str] | None = None, changes: tuple[Change, ...] = ()) -> Iterator[Up]:
    """A mesh of its own, with these variables beside ours and these changes of its code. Its folder is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="cerebro-faults-", dir=IN_MEMORY if IN_MEMORY.is_dir() else None))
    code = folder / "code" if changes else None
    if code is not None:
        plant(changes, code)
    with pytest.MonkeyPatch.context() as ours:
        for name, value in {"CEREBRO_MEMORY_EMBEDDING": "none", **(environment or {})}.items():
            ours.setenv(name, value)
        started = Up(folder / "data", code=code)
    try:
        yield started.wait_until_ready()
    finally:
        try:
            started.stop()
        except subprocess.TimeoutExpired:  # the machine is busy with others: that a stop is quick is tried elsewhere
            started.kill()
        shutil.rmtree(folder, ignore_errors=True)


async def until_caught(shows: str, load: Load, judge: Judge, harm: Callable[[], Awaitable[list[str]]], *, judged: bool = True) -> str:
    """Harm the mesh under its load, and judge it now and then, until what is planted `shows`; says in what, and after how much harm.

    `harm` says why the mesh is not well again; unless it is `judged`, that is what must show it.
    """
    broken: list[str] = []
    harmed = 0
    while harmed < HARMED_MAX and not any(shows in told for told in broken):
        async with load:
            for _ in range(JUDGED_EVERY):
                harmed += 1
                if broken := await harm():
                    break
        if judged:
            broken = (await judge.verdict(DRAIN_S)).broken
    caught = [told for told in broken if shows in told]
    assert caught, f"not caught in {harmed}; {broken}"
    return f"caught within {harmed}: {caught[0][:200]}"
