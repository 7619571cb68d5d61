"""Profiles: rows of a deterministic profiler, or stacks of a sampling one, brought to one shape."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

PATHS_MAX = 3
"""Most ways to a function that are told."""
PATH_LEN_MAX = 30
"""Longest way that is told, in functions; of a longer one the innermost."""
FRAMES_MAX = 1_000
"""Most functions of one stack; a deeper one is cut at its outer end."""

Path = tuple[str, ...]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What is spent in each function itself and with its callees, in `unit` (seconds or samples). `stacks`: by whole stack, if known."""

    unit: str
    total: float
    own: Mapping[str, float]
    with_callees: Mapping[str, float]
    calls: Mapping[str, int] = {}
    recursive: frozenset[str] = frozenset()
    stacks: Mapping[Path, float] = {}

    def ways_to(self, function: str) -> list[tuple[Path, float]]:
        """The stacks that end in `function`, those with most first."""
        ending = [(path[-PATH_LEN_MAX:], amount) for path, amount in self.stacks.items() if path[-1] == function]
        return sorted(ending, key=lambda way: (-way[1], way[0]))[:PATHS_MAX]


def from_rows(rows: Iterable[tuple[str, int, float, float]]) -> Profile:
    """From (function, calls, own seconds, seconds with callees). Functions that stand several times are added up."""
    own: dict[str, float] = {}
    with_callees: dict[str, float] = {}
    calls: Counter[str] = Counter()
    for function, count, self_s, total_s in rows:
        own[function] = own.get(function, 0.0) + self_s
        with_callees[function] = with_callees.get(function, 0.0) + total_s
        calls[function] += count
    return Profile(unit="seconds", total=sum(own.values()), own=own, with_callees=with_callees, calls=calls)


def from_stacks(lines: Sequence[str]) -> Profile:
    """From lines `outer;inner;innermost 12`. Raises ValueError(line, message) for what is none; empty lines are passed over."""
    stacks: dict[Path, float] = {}
    for n, line in enumerate(lines):
        if line.strip():
            path, amount = _stack(n, line)
            stacks[path] = stacks.get(path, 0.0) + amount
    own: dict[str, float] = {}
    with_callees: dict[str, float] = {}
    recursive: set[str] = set()
    for path, amount in stacks.items():
        own[path[-1]] = own.get(path[-1], 0.0) + amount
        for function in set(path):
            with_callees[function] = with_callees.get(function, 0.0) + amount
            own.setdefault(function, 0.0)
        recursive |= {function for function, times in Counter(path).items() if times > 1}
    total = sum(stacks.values())
    return Profile(unit="samples", total=total, own=own, with_callees=with_callees, recursive=frozenset(recursive), stacks=stacks)


def _stack(n: int, line: str) -> tuple[Path, float]:
    frames, _, count = line.strip().rpartition(" ")
    path = tuple(frame for frame in frames.split(";") if frame)[-FRAMES_MAX:]
    if not path or not count.isascii() or not count.isdigit() or len(count) > 15:
        raise ValueError(n, f"`{line[:100]}` is no stack: functions joined by `;`, a space, and a count")
    return path, float(count)
