"""`cerebro tasks simulate`: the recorded assignments judged again with other weights; `cerebro tasks export`: the log of tasks as lines.

A line is one entry, `{"subject", "seq", "time", "body"}`: what `GET /events?subjects=mesh.task.>` sends as `data`, so that what
curl has saved of it is read as well.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from agents.tasks.matching import Weights
from agents.tasks.replay import Judged, Report, replay
from bus import entries as entries_
from bus import subjects
from bus.connection import Bus
from bus.errors import CerebroError
from bus.log import entries as read_log
from bus.settings import BusSettings
from cerebro.reach import NotRunning, bus_settings
from cerebro.settings import SettingsError, read
from schemas.entry import Entry, Malformed
from schemas.words import Time, rfc3339

CONNECT_S: Final = 5.0
"""Longest wait for the server."""
READ_S: Final = 120.0
"""Longest time to read the log."""
FILTERS: Final = [row.wildcard for row in subjects.TABLE if row.name.startswith("task.")]
"""Everything about tasks in the log."""
DATA: Final = "data: "
"""What stands before an entry in a saved event stream; its other lines say nothing more."""
SHOWN_MAX: Final = 50
"""Most assignments that are listed; `--json` has all."""
TITLE_LEN_SHOWN: Final = 40


class Line(msgspec.Struct, frozen=True):
    """One entry in a file."""

    subject: str
    seq: int
    time: Time
    body: msgspec.Raw


class BadInput(Exception):
    """What was given cannot be used; the message says where and why."""


def main(parsed: argparse.Namespace) -> int:
    """Run the command; 1 where it could not be done, 2 where what was asked makes no sense."""
    try:
        return (_export if parsed.action == "export" else _simulate)(parsed)
    except (BadInput, SettingsError) as e:
        print(f"cerebro: {e}", file=sys.stderr)
        return 2
    except (NotRunning, CerebroError, OSError) as e:
        print(f"cerebro: {e}", file=sys.stderr)
        return 1


def _export(parsed: argparse.Namespace) -> int:
    for entry in _recorded(parsed.data):
        line = {"subject": entry.subject, "seq": entry.seq, "time": rfc3339(entry.time), "body": entry.body}
        print(msgspec.json.encode(line).decode())
    return 0


def _simulate(parsed: argparse.Namespace) -> int:
    settings = read(os.environ).agents
    weights = changed(settings.weights, parsed.weight or [])
    found = _from_file(parsed.log) if parsed.log else _recorded(parsed.data)
    report = replay(found, weights, settings.success_half_life_s)
    print(msgspec.json.encode(_told(report, weights)).decode() if parsed.json else "\n".join(_lines(report, weights)))
    return 0


# where the log comes from


def _recorded(data: Path) -> list[Entry]:
    """What stands in the log of the running mesh."""
    return [e for e in asyncio.run(_read(bus_settings(data))) if isinstance(e, Entry)]


async def _read(settings: BusSettings) -> list[Entry | Malformed]:
    bus = await Bus.connect(settings, "tasks", CONNECT_S)
    try:
        return await read_log(bus, FILTERS, timeout_s=READ_S)
    finally:
        await bus.close()


def _from_file(path: Path) -> Iterator[Entry]:
    """The entries of a file, in the order of the log. Raises `BadInput` with the line that is none."""
    with path.open(encoding="utf-8") as lines:
        yield from sorted(_parsed(path, lines), key=lambda e: e.seq)


def _parsed(path: Path, lines: Iterable[str]) -> Iterator[Entry]:
    """Entries about tasks; malformed ones are passed over as every fold does."""
    for number, text in enumerate(lines, 1):
        if not text.startswith(("{", DATA)):
            if text.strip() and not text.startswith((":", "id:", "event:", "retry:")):
                raise BadInput(f"{path}, line {number}: no entry of the log")
            continue
        try:
            line = msgspec.json.decode(text.removeprefix(DATA), type=Line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
            raise BadInput(f"{path}, line {number}: {e}") from e
        entry = entries_.read(line.subject, None, bytes(line.body), line.seq, line.time, str(path))
        if isinstance(entry, Entry) and entry.name.startswith("task."):
            yield entry


# the weights


def changed(weights: Weights, given: list[str]) -> Weights:
    """`weights` with what `NAME=SHARE` says of each. Raises `BadInput`."""
    known = {name: getattr(weights, name) for name in Weights.__struct_fields__}
    for text in given:
        name, _, share = text.partition("=")
        if name not in known:
            raise BadInput(f"--weight {text}: no weight {name!r}; there are {', '.join(known)}")
        try:
            known[name] = float(share)
        except ValueError:
            raise BadInput(f"--weight {text}: {share!r} is no number") from None
        if not 0 <= known[name] <= 1:
            raise BadInput(f"--weight {text}: a weight is 0 … 1")
    if not any(known.values()):
        raise BadInput("all weights are 0: nothing would count")
    return Weights(**known)


# what is told


def _told(report: Report, weights: Weights) -> dict[str, Any]:
    """The whole report, for programs."""
    return {
        "weights": weights,
        "assignments": len(report.judged),
        "unscored": report.unscored,
        "different": report.different,
        "succeeded": sum(j.succeeded is True for j in report.judged),
        "failed": sum(j.succeeded is False for j in report.judged),
        "expected": {"recorded": round(report.expected("was"), 4), "changed": round(report.expected("would"), 4)},
    }


def _lines(report: Report, weights: Weights) -> Iterator[str]:
    """The report, for people."""
    different, count = report.different, len(report.judged)
    yield "weights: " + ", ".join(f"{name} {getattr(weights, name):g}" for name in Weights.__struct_fields__)
    yield f"{count} assignments with scores, {len(different)} would have gone to somebody else"
    if report.unscored:
        yield f"{report.unscored} assignments carry no scores and are left out"
    for judged in different[:SHOWN_MAX]:
        yield from _difference(judged)
    if len(different) > SHOWN_MAX:
        yield f"… and {len(different) - SHOWN_MAX} more (--json has all)"
    if any(j.cut for j in report.judged):
        yield "some had more candidates than an assignment carries; who came after those is not considered"
    if count:
        yield from _expectation(report)


def _difference(judged: Judged) -> Iterator[str]:
    was, would = judged.was, judged.would
    yield f"entry {judged.seq}, task {judged.task_id} ({judged.title[:TITLE_LEN_SHOWN]}), fence {judged.fence}:"
    came = {True: "succeeded", False: "failed", None: "nothing that counts came of it"}[judged.succeeded]
    for option, what in ((was, f"had it, {came}"), (would, "would have it")):
        scores = f"recorded {option.recorded:.4f}, changed {option.changed:.4f}"
        yield f"  {option.agent:<16} {scores}, expected success {option.expected:.2f}  {what}"


def _expectation(report: Report) -> Iterator[str]:
    count = len(report.judged)
    succeeded, failed = (sum(j.succeeded is what for j in report.judged) for what in (True, False))
    yield f"recorded: {succeeded} succeeded, {failed} failed, {count - succeeded - failed} came to nothing that counts"
    yield f"expected to succeed: {report.expected('was'):.2f} of {count} as recorded, {report.expected('would'):.2f} as changed"
    yield "What others would have made of a task is an estimate, from all that the log says of their work; and each assignment is judged"
    yield "for itself, with the loads, affects and success rates that were recorded with it."
