"""What runs have shown, counted and not guessed: each adds a line to a file, and `python -m tests.fuzz --sum FILE` adds them up."""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]


class Line(msgspec.Struct, frozen=True):
    """One run. `commit` ends in `-dirty` where files differed from it; `rss_mib` is the resident memory of each process at the end;
    `settings` what the environment asked of the mesh.
    """

    seed: int
    commit: str
    inputs: int
    cases: int
    faults: int
    played_s: float
    took_s: float
    outcomes: dict[str, int]
    rss_mib: dict[str, int]
    settings: dict[str, str] = {}


def settings() -> dict[str, str]:
    """Those of the environment, but for what is secret."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith("CEREBRO_") and "KEY" not in name}


def commit() -> str:
    """What is tried: the commit of this checkout."""
    return subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def append(path: Path, line: Line) -> None:
    """Add the run to the file, which is made where there is none."""
    with path.open("ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")


def read(path: Path) -> list[Line]:
    return [msgspec.json.decode(line, type=Line) for line in path.read_bytes().splitlines()]


def told(lines: Iterable[Line]) -> str:
    """What the runs add up to, for each commit: clean ones and others apart."""
    by_commit: dict[str, list[Line]] = {}
    for line in lines:
        by_commit.setdefault(line.commit, []).append(line)
    return "\n".join(
        f"{name}: {_added([r for r in runs if not r.faults])}; with faults: {_added([r for r in runs if r.faults])}"
        for name, runs in by_commit.items()
    )


def _added(runs: list[Line]) -> str:
    inputs, cases, took_s = sum(r.inputs for r in runs), sum(r.cases for r in runs), sum(r.took_s for r in runs)
    return f"{len(runs)} runs, {inputs:,} inputs, {cases:,} cases, {took_s:.0f} s"
