"""Figures as a Markdown table that can be pasted into docs/benchmarks.md: with the commit and the machine they were measured at."""

import functools
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *remarks: str) -> None:
    """Print a table; numbers are to be formatted already."""
    print(f"\n### {title}\n\nMeasured at {commit()} on {machine()}.\n")
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |")
    for remark in remarks:
        print(f"\n{remark}")


@functools.cache
def commit() -> str:
    """The commit that is checked out, and whether it is all there is; looked up once, because a long run goes on with what it loaded."""
    head = _git("rev-parse", "--short=9", "HEAD").strip()
    return f"commit {head}{' with changes' if _git('status', '--porcelain', '--untracked-files=no') else ''}"


def machine() -> str:
    """What the figures depend on most."""
    names = [line.split(":", 1)[1].strip() for line in _cpu_info() if line.startswith("model name")]
    busy = os.getloadavg()[0]
    return (
        f"{len(names) or os.cpu_count()} × {names[0] if names else platform.machine()}, Python {platform.python_version()}, load {busy:.1f}"
    )


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _cpu_info() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text().splitlines() if file.exists() else []


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=True).stdout
