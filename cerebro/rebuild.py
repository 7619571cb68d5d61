"""`cerebro memory rebuild [--verify]`: derived memory made again from the log, or compared with it."""

import argparse
import asyncio
import signal
import sys
from typing import Any, Final

from bus.connection import Bus
from bus.errors import CerebroError
from bus.settings import BusSettings
from cerebro.reach import NotRunning, bus_settings, memory_settings
from memory.derived import NOT_DERIVED
from memory.hashes import Difference
from memory.main import projections
from memory.rebuild import Compared, Report, rebuild, verify
from memory.settings import MemorySettings

CONNECT_S: Final = 5.0
"""Longest wait for the server."""
DIGITS: Final = 16
"""How much of a hash is shown."""
VALUE_LEN_MAX: Final = 60
"""Longest value shown of a row that differs, in characters."""


def main(parsed: argparse.Namespace) -> int:
    """Run the command; 1 where tables differ, or it could not be done."""
    try:
        return asyncio.run(_run(bus_settings(parsed.data), memory_settings(parsed.data), only_compare=parsed.verify))
    except (NotRunning, CerebroError) as e:
        print(f"cerebro: {e}", file=sys.stderr)
        return 1
    except asyncio.CancelledError:
        print("cerebro: ended; nothing was changed", file=sys.stderr)
        return 1


async def _run(bus_: BusSettings, memory: MemorySettings, *, only_compare: bool) -> int:
    task = asyncio.current_task()
    assert task is not None, "a coroutine runs in a task"
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    bus = await Bus.connect(bus_, "rebuild", CONNECT_S)
    try:
        report = await (verify if only_compare else rebuild)(bus, memory, projections)
    finally:
        await bus.close()
    _show(report, *(("equal", "DIFFERENT: the log makes") if only_compare else ("as before", "mended: now")))
    return 1 if only_compare and not report.equal else 0


def _show(report: Report, equal: str, different: str) -> None:
    if not report.entries:
        print("the log holds nothing that memory has persisted")
    for compared in report.tables:
        _show_table(compared, equal if compared.equal else different)
        for difference in report.differences:
            if difference.table == compared.table:
                print(f"    {_sentence(difference)}")
    for name in report.passed_over:
        print(f"{name:<20} not compared: its rows rest on more than the log still holds")
    print(f"entries {report.first_seq} to {report.end_seq} of the log: {report.entries} read, {report.refused} refused by PostgreSQL")
    if not report.whole:
        print(f"memory holds older things than entry {report.first_seq}, the first that the log still has: they were left alone")
    print(f"not derived from the log: {', '.join(sorted(NOT_DERIVED))}")


def _show_table(compared: Compared, word: str) -> None:
    live, rebuilt = compared.live, compared.rebuilt
    print(f"{compared.table:<20} {live.rows:>9} rows  {live.hash[:DIGITS]}  {word}", end="")
    print("" if compared.equal else f" {rebuilt.rows} rows, {rebuilt.hash[:DIGITS]}")


def _sentence(difference: Difference) -> str:
    if difference.column is None:
        return f"{difference.key} is {'in the table only' if difference.rebuilt is None else 'in the log only'}"
    live, rebuilt = _short(difference.live), _short(difference.rebuilt)
    return f"{difference.key} {difference.column}: the table has {live}, the log makes {rebuilt}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= VALUE_LEN_MAX else f"{text[:VALUE_LEN_MAX]}…"
