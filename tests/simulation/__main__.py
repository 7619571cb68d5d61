"""Many seeds, one seed, or every planted bug:

python -m tests.simulation --seeds 100000            play these, and say which break a promise
python -m tests.simulation --seed 4711               play one again, and show its history
python -m tests.simulation --planted                 plant each bug in turn, and say at which seed it is caught
"""

import argparse
import gc
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from tests.simulation.planted import BUGS, SEEDS_MAX, caught_at
from tests.simulation.scenario import KINDS
from tests.simulation.world import FAULTS_MAX, Outcome, simulate

CHUNK = 50
"""Seeds that a process plays before it tells."""
GARBAGE = 100_000
"""Objects made before garbage is looked for: a run is short, and all of it is garbage in the end."""


class Sum(msgspec.Struct):
    """What came of many seeds."""

    seeds: int = 0
    entries: int = 0
    virtual_s: float = 0.0
    cpu_s: float = 0.0
    kinds: Counter[str] = msgspec.field(default_factory=Counter)
    faults: Counter[str] = msgspec.field(default_factory=Counter)
    broken: list[tuple[int, str, str]] = []

    def add(self, other: "Sum") -> None:
        for name in ("seeds", "entries", "virtual_s", "cpu_s", "kinds", "faults", "broken"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def play(job: tuple[int, int, str | None]) -> Sum:
    """The seeds of one chunk."""
    gc.set_threshold(GARBAGE, 50, 50)
    first, last, kind = job
    total, began = Sum(), time.process_time()
    for seed in range(first, last):
        outcome = simulate(seed, kind=kind)
        total.seeds += 1
        total.entries += outcome.entries
        total.virtual_s += outcome.virtual_s
        total.kinds[outcome.kind] += 1
        total.faults.update(fault.split()[1] for fault in outcome.faults)
        if outcome.broken:
            total.broken.append((seed, outcome.kind, outcome.broken))
    total.cpu_s = time.process_time() - began
    return total


def chunks(first: int, seeds: int, kind: str | None) -> Iterator[tuple[int, int, str | None]]:
    for start in range(first, first + seeds, CHUNK):
        yield start, min(start + CHUNK, first + seeds), kind


def many(arguments: argparse.Namespace) -> int:
    """Play them in several processes. The exit code says whether all promises held."""
    total, began, told = Sum(), time.monotonic(), 0
    with multiprocessing.Pool(arguments.jobs) as pool:
        for some in pool.imap_unordered(play, chunks(arguments.first, arguments.seeds, arguments.kind)):
            total.add(some)
            for seed, kind, broken in some.broken:
                print(
                    f"BROKEN seed {seed} ({kind}): {broken}\n  replay: make simulate ARGS='--seed {seed}{_option(arguments)}'", flush=True
                )
            if total.seeds * 10 // arguments.seeds > told:
                told = total.seeds * 10 // arguments.seeds
                print(
                    f"{total.seeds} seeds, {len(total.broken)} broken, {total.seeds / total.cpu_s:.0f} seeds a second and core", flush=True
                )
    print(f"seeds {arguments.first} … {arguments.first + arguments.seeds - 1}: {len(total.broken)} broke a promise")
    hours, real_s = total.virtual_s / 3600, time.monotonic() - began
    print(f"{total.entries} entries of the log, {hours:.0f} hours in virtual time, {real_s:.0f} s in real time")
    print(f"{total.seeds / total.cpu_s:.0f} seeds a second and core; scenarios {dict(total.kinds)}; faults injected {dict(total.faults)}")
    return 1 if total.broken else 0


def _option(arguments: argparse.Namespace) -> str:
    return f" --kind {arguments.kind}" if arguments.kind else ""


def one(seed: int, kind: str | None) -> int:
    """Play one seed and show it; where it breaks a promise, the smallest of its histories that still does."""
    outcome = shrunk(seed, kind)
    print("\n".join(outcome.trace))
    print(f"seed {seed} ({outcome.kind}), {outcome.virtual_s:g} s in virtual time; faults: {'; '.join(outcome.faults) or 'none'}")
    print(f"BROKEN: {outcome.broken}" if outcome.broken else "every promise held")
    return 1 if outcome.broken else 0


def shrunk(seed: int, kind: str | None) -> Outcome:
    """The history with the fewest faults, and then the fewest things said, that breaks a promise; else the whole one."""
    whole = simulate(seed, kind=kind)
    if not whole.broken:
        return whole
    options: dict[str, Any] = {"kind": kind}
    for name, limit in (("faults_max", FAULTS_MAX), ("sayings_max", 60)):
        options[name] = next(n for n in range(limit + 1) if n == limit or simulate(seed, **options, **{name: n}).broken)
    print(f"shrunk to {options}")
    return simulate(seed, **options)


def planted_bugs(seeds: int) -> int:
    """Each bug in turn; all must be caught."""
    caught = 0
    for bug in BUGS:
        seed, broken = caught_at(bug, seeds)
        caught += seed is not None
        print(f"{'MISSED' if seed is None else f'caught at seed {seed}':>20}  {bug.name} ({bug.kind}): {broken[:150]}", flush=True)
    print(f"{caught} of {len(BUGS)} planted bugs caught, each within {seeds} seeds")
    return 0 if caught == len(BUGS) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10_000, help="how many to play")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--kind", choices=KINDS, help="only scenarios of this kind")
    parser.add_argument("--seed", type=int, help="play this one and show it")
    parser.add_argument("--planted", action="store_true", help="plant every bug in turn")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        return one(arguments.seed, arguments.kind)
    return planted_bugs(SEEDS_MAX) if arguments.planted else many(arguments)


if __name__ == "__main__":
    sys.exit(main())
