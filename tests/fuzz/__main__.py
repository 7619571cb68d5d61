"""Throw bad input at a mesh that is started for it, and say what broke:

python -m tests.fuzz --seed 7 --budget-s 300           for about this long, a third of it by schemathesis at the door
python -m tests.fuzz --seed 7 --inputs 100000          so many inputs, however long it takes
python -m tests.fuzz --seed 7 --only 4711              one input again, and what was answered
python -m tests.fuzz --seed 7 --only 4000:4711         all of these again
"""

import argparse
import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from bus import subjects
from bus.connection import Bus
from bus.errors import CerebroError
from cerebro.reach import bus_settings
from tests.fuzz import report, watch
from tests.fuzz.door import SchemaRun, schemathesis
from tests.fuzz.inputs import made
from tests.fuzz.player import Player
from tests.integration.launched import Up

SCHEMA_SHARE = 1 / 3
"""Of the budget, for schemathesis."""
LOOK_S = 2.0
"""How often processes, logs and consumers are looked at."""
TOLD_S = 15.0
"""How often it is told how far it is."""
PATIENCE_S = 300.0
"""A consumer that has something left and has not moved for so long is stuck."""
DRAIN_S_MAX = 1_800.0
"""Longest time for the backlog to be worked off."""
START_S = 600.0
"""Longest time for the mesh to be ready, on a machine that is busy with other things."""
STOP_S = 300.0
"""Longest time for the mesh to end; how soon it does is tried elsewhere."""
SETTINGS = {
    "CEREBRO_GATEWAY_END_WAIT_S": "20",  # of proposals that live for days: the default is longer than schemathesis waits
    "CEREBRO_GATEWAY_ASK_S": "60",
    "CEREBRO_GATEWAY_SEARCH_S": "60",
    "CEREBRO_GATEWAY_AWAY_PATIENCE_S": "60",
    "CEREBRO_GATEWAY_FORGET_S": "900",
    "CEREBRO_GATEWAY_CONSOLIDATE_S": "900",
}
"""How long the door waits. On a machine that is busy with other things an answer is late, which is an honest 504 and no fault; what never
comes is told all the same.
"""
IN_MEMORY = Path("/dev/shm")
"""The mesh's folder is made here where there is such a place: each stored input waits for the disk, which is not what is tried."""


class Options(msgspec.Struct, frozen=True):
    """What is asked for."""

    seed: int
    budget_s: float
    inputs: int | None
    only: range | None
    report: Path | None = None


class Watcher:
    """Looks from outside, all the time, and tells the player what broke and between which inputs."""

    def __init__(self, data: Path, bus: Bus, player: Player) -> None:
        self._processes = watch.Processes(data)
        self._logs = watch.Logs(data)
        self._drain = watch.Drain(PATIENCE_S)
        self._bus = bus
        self._player = player
        self._told: set[str] = set()
        self._looked_at = 0
        self.left = 0

    @property
    def processes(self) -> watch.Processes:
        return self._processes

    async def run(self) -> None:
        """For ever."""
        told = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()
            if time.monotonic() - told > TOLD_S:
                told = time.monotonic()
                tally = self._player.tally
                print(f"{tally.inputs} inputs, {len(tally.faults)} faults, {self.left} entries to be worked off", flush=True)

    async def look(self) -> None:
        """Once. What was told is not told again."""
        first, self._looked_at = self._looked_at, self._player.index
        seen = [c for stream in (subjects.MESH, subjects.DEAD) for c in await watch.consumers(self._bus, stream)]
        with contextlib.suppress(CerebroError):  # a memory that does not answer is found by its questions, and by its process
            seen.append(await watch.persister(self._bus))
        self.left = sum(consumer.left for consumer in seen)
        for fault in (*self._processes.faults(), *self._logs.faults(), *self._drain.stuck(seen, time.monotonic())):
            if fault not in self._told:
                self._told.add(fault)
                self._player.fault(fault, first, self._looked_at)

    async def drained(self) -> bool:
        """Wait until nothing is left to do; False where it does not come to that."""
        deadline = time.monotonic() + DRAIN_S_MAX
        await self.look()
        while self.left and time.monotonic() < deadline and not any("stands still" in told for told in self._told):
            await asyncio.sleep(LOOK_S)
            await self.look()
        return not self.left


async def fuzz(options: Options, up: Up) -> int:
    """The whole of it against a mesh that runs. The exit code says whether everything held."""
    run = up.run
    settings = bus_settings(up.data)
    bus = await Bus.connect(settings, "operator", 10.0)
    player = await Player.connect(options.seed, settings, run.http)
    watcher = Watcher(up.data, bus, player)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, player.end)
    began = time.monotonic()
    schema = SchemaRun(cases=0, failures=0, said="")
    try:
        watching = asyncio.create_task(watcher.run(), name="watch")
        if options.only is None and options.inputs is None:
            schema = await schemathesis(run.http, up.data.parent, options.seed, options.budget_s * SCHEMA_SHARE)
            print(f"schemathesis: {schema.cases} cases, {schema.failures} failures", flush=True)
        played = time.monotonic()
        budget_s = options.budget_s * (1 - SCHEMA_SHARE) if options.inputs is None and options.only is None else float("inf")
        await player.play(_indices(options), played + budget_s)
        played = time.monotonic() - played
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await _afterwards(options, watcher, player, bus, run.http)
        return _told(options, player, watcher, schema, played, time.monotonic() - began)
    finally:
        await player.close()
        await bus.close()


def _indices(options: Options) -> Iterable[int]:
    return options.only or range(options.inputs or 2**62)


async def _afterwards(options: Options, watcher: Watcher, player: Player, bus: Bus, http_url: str) -> None:
    """What must hold when nothing bad comes any more."""
    last = player.index
    if not await watcher.drained():
        player.fault(f"{watcher.left} entries are not worked off", 0, last)
    if lost := await watch.unburied(bus, player.tally.malformed):
        player.fault(f"{len(lost)} malformed entries have no dead letter: {lost[:10]}", 0, last)
    for fault in (*await watch.works(http_url, f"fz{options.seed}{secrets.token_hex(4)}"), *watcher.processes.grown()):
        player.fault(fault, 0, last)
    await watcher.look()


def _told(options: Options, player: Player, watcher: Watcher, schema: SchemaRun, played_s: float, took_s: float) -> int:
    """The summary, and the exit code."""
    tally = player.tally
    print("\ninputs by row and outcome:")
    for row, outcomes in sorted(tally.outcomes.items()):
        print(f"  {row:<45} {outcomes.total():>8}  {', '.join(f'{o}: {n}' for o, n in outcomes.most_common(8))}")
    total: Counter[str] = sum(tally.outcomes.values(), Counter())
    print(f"all: {', '.join(f'{outcome}: {n}' for outcome, n in total.most_common(20))}")
    print(f"{len(tally.malformed)} malformed entries of the log")
    after, faults = watcher.processes.rss(), len(tally.faults) + schema.failures
    for name, before in sorted(watcher.processes.rss_before.items()):
        print(f"  resident memory of {name:<10} {before / 2**20:>8.0f} MiB before {after.get(name, 0) / 2**20:>8.0f} MiB after")
    for fault in tally.faults:
        print(fault.told(options.seed))
    if schema.failures:
        print(f"BROKEN: schemathesis\n{schema.said}\n  replay: make fuzz ARGS='--seed {options.seed} --budget-s {options.budget_s:g}'")
    print(
        f"seed {options.seed}: {tally.inputs} inputs ({tally.inputs / max(played_s, 0.1):.0f} a second)"
        f" and {schema.cases} cases of schemathesis in {took_s:.0f} s; {faults} broken"
    )
    if options.report is not None:
        run = report.Line(
            seed=options.seed,
            commit=report.commit(),
            inputs=tally.inputs,
            cases=schema.cases,
            faults=faults,
            played_s=round(played_s, 1),
            took_s=round(took_s, 1),
            outcomes=dict(total),
            rss_mib={name: size >> 20 for name, size in after.items()},
            settings=report.settings(),
        )
        report.append(options.report, run)
    return 1 if faults else 0


def _show(options: Options) -> None:
    """What a single input is."""
    if options.only is not None and len(options.only) == 1:
        print(made(options.seed, options.only[0]))


def options_of(arguments: argparse.Namespace) -> Options:
    """From the command line."""
    only = None
    if arguments.only:
        first, _, end = arguments.only.partition(":")
        only = range(int(first), int(end) if end else int(first) + 1)
    return Options(seed=arguments.seed, budget_s=arguments.budget_s, inputs=arguments.inputs, only=only, report=arguments.report)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="where all chance comes from")
    parser.add_argument("--budget-s", type=float, default=300.0, help="about how long, without the looking afterwards; in seconds")
    parser.add_argument("--inputs", type=int, help="so many, instead of the budget, and without schemathesis")
    parser.add_argument("--only", help="play this one, or first:end, and nothing else")
    parser.add_argument("--keep", action="store_true", help="leave the mesh's folder where it is")
    parser.add_argument("--report", type=Path, help="add a line of JSON about this run to the file")
    parser.add_argument("--sum", type=Path, help="only say what the lines of such a file add up to")
    arguments = parser.parse_args()
    if arguments.sum is not None:
        print(report.told(report.read(arguments.sum)))
        return 0
    options = options_of(arguments)
    _show(options)
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="cerebro-fuzz-", dir=IN_MEMORY if IN_MEMORY.is_dir() else None))
        if not arguments.keep:
            stack.callback(shutil.rmtree, folder)
        print(f"seed {options.seed}; the mesh is in {folder}", flush=True)
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        up = Up(folder / "data")
        stack.callback(up.process.wait, STOP_S)
        stack.callback(up.process.terminate)
        up.wait_until_ready(START_S)
        return asyncio.run(fuzz(options, up))


if __name__ == "__main__":
    sys.exit(main())
