"""What a run injected, what became of it, and how long it took: printed, and kept as a line of JSON to be summed over runs."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from tests.faults.chances import ASKED, Chances
from tests.faults.verdict import Verdict


class Line(msgspec.Struct, omit_defaults=True):
    """One run. `recovery_s` by kind of fault, in seconds; `acknowledged` and what else is counted over all that was asked."""

    what: str
    seed: int
    injected: dict[str, int] = {}
    acknowledged: int = 0
    refused: int = 0
    unknown: int = 0
    lost: int = 0
    doubled: int = 0
    broken: list[str] = []
    recovery_s: dict[str, list[float]] = {}
    drained_s: float = 0.0
    took_s: float = 0.0
    figures: dict[str, Any] = {}


def share(values: Sequence[float], of: float) -> float:
    """The smallest of `values` that no smaller a share than `of` does not exceed; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(len(ordered) * of * 1000) // 1000) - 1))] if ordered else 0.0


class Report:
    """Of one run of the tests called `what`. Told what happens, it prints one block at the end: `print`, or of a `with` block."""

    def __init__(self, what: str, chances: Chances) -> None:
        self.line = Line(what=what, seed=chances.seed)
        self._chances = chances
        self._began = time.monotonic()
        self._injected: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self.line.broken.append(f"it did not come to its end: {type(error).__name__}: {error}")
        self.print()

    def injected(self, kind: str, times: int = 1) -> None:
        self._injected[kind] += times

    def recovered(self, kind: str, seconds: float) -> None:
        self.line.recovery_s.setdefault(kind, []).append(round(seconds, 3))

    def figure(self, name: str, value: Any) -> None:
        """Something else that was measured."""
        self.line.figures[name] = value

    def verdict(self, verdict: Verdict) -> None:
        """What was judged; of several verdicts over one load the last counts, but for what was broken and the longest drain."""
        line = self.line
        line.acknowledged, line.refused, line.unknown = verdict.acknowledged, verdict.refused, verdict.unknown
        line.lost, line.doubled = max(line.lost, verdict.lost), max(line.doubled, verdict.doubled)
        line.broken = [*line.broken, *(b for b in verdict.broken if b not in line.broken)]
        line.drained_s = max(line.drained_s, round(verdict.drained_s, 1))
        line.figures |= verdict.figures

    def print(self) -> None:
        """One block for people; and the line, where a file is asked for."""
        line = self.line
        line.injected, line.took_s = dict(self._injected), round(time.monotonic() - self._began, 1)
        print(f"\n{told(line)}\nreplay: {self._chances.replay(line.what)}", flush=True)
        if ASKED["REPORT"]:
            with Path(ASKED["REPORT"]).open("ab") as file:
                file.write(msgspec.json.encode(line) + b"\n")


def told(line: Line) -> str:
    """One run in a few lines."""
    injected = ", ".join(f"{kind} {n}" for kind, n in sorted(line.injected.items()))
    took = [seconds for each in line.recovery_s.values() for seconds in each]
    recovery = f"p50 {share(took, 0.5):.1f} s, p99 {share(took, 0.99):.1f} s, max {max(took, default=0.0):.1f} s"
    lines = [
        f"{line.what}, seed {line.seed}, {line.took_s:.0f} s",
        f"injected {sum(line.injected.values())}: {injected}",
        f"acknowledged {line.acknowledged}, lost {line.lost}, doubled {line.doubled}; refused {line.refused}, unknown {line.unknown}",
        f"recovery of {len(took)}: {recovery}; drained within {line.drained_s:.1f} s",
        *(f"{name}: {value}" for name, value in line.figures.items()),
        *(f"BROKEN {broken}" for broken in line.broken),
    ]
    return "\n  ".join(lines)


def summed(lines: Sequence[Line]) -> str:
    """The table over runs, in Markdown: a row for each `what`, and one for each kind of fault."""
    rows = [
        "| runs of | runs | injected | acknowledged | lost | doubled | broken | refused | unknown | drained within |",
        "|" + " --- |" * 10,
    ]
    kinds = ["| runs of | fault | injected | recovery p50 | p99 | max |", "|" + " --- |" * 6]
    for what in dict.fromkeys(line.what for line in lines):
        of = [line for line in lines if line.what == what]
        injected: Counter[str] = sum((Counter(line.injected) for line in of), Counter())
        cells = [
            len(of),
            injected.total(),
            sum(line.acknowledged for line in of),
            sum(line.lost for line in of),
            sum(line.doubled for line in of),
            sum(len(line.broken) for line in of),
            sum(line.refused for line in of),
            sum(line.unknown for line in of),
        ]
        rows.append(f"| {what} | {' | '.join(f'{cell:,}' for cell in cells)} | {max(line.drained_s for line in of):.1f} s |")
        for kind, times in sorted(injected.items()):
            took = [s for line in of for s in line.recovery_s.get(kind, ())]
            spread = f"{share(took, 0.5):.1f} s | {share(took, 0.99):.1f} s | {max(took):.1f} s" if took else "– | – | –"
            kinds.append(f"| {what} | {kind} | {times:,} | {spread} |")
    return "\n".join([*rows, "", *kinds])
