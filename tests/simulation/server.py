"""The log's server in virtual time: what JetStream does for a publish, a batch and a schedule, and nothing else.

Its semantics are those of the real server: `tests/integration/test_simulated_server.py` runs the same suite on both.
"""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from bus import entries, subjects
from schemas.entry import Entry, Malformed
from schemas.words import epoch
from tests.simulation.loop import VirtualLoop

START_S = 1_767_225_600.0
"""The time of day when a simulation begins: 2026-01-01."""
INCARNATION = "simulated"
COPIED_WITHIN_S = 0.08
EXPECTED = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_ON = "Nats-Expected-Last-Subject-Sequence-Subject"
BATCH, BATCH_SEQ, COMMIT = "Nats-Batch-Id", "Nats-Batch-Sequence", "Nats-Batch-Commit"
SCHEDULE, TARGET = "Nats-Schedule", "Nats-Schedule-Target"
TIMER_ROOT = subjects.TIMER_SUBJECTS[0][:-1]
CONFLICT, DUPLICATE_IN_BATCH, INCOMPLETE_BATCH = 10071, 10201, 10176
Headers = dict[str, str]
Wire = tuple[str, bytes, Headers]


class Message(msgspec.Struct, frozen=True):
    """What stands in the log at `seq`, and the entry that it is."""

    seq: int
    subject: str
    headers: Headers
    data: bytes
    time: datetime
    entry: Entry | Malformed
    stream: str = subjects.MESH


class VirtualServer:
    """One stream `MESH`, timers and a heap of dead letters. `appended` is called after each entry.

    `window_s`: how long message ids are remembered. `synced` False plants a bug: what was acknowledged is not on disk yet.
    """

    synced = True

    def __init__(self, loop: VirtualLoop, window_s: float = 120.0, late: Callable[[], float | None] = lambda: 0.0) -> None:
        self._loop = loop
        self._window_s = window_s
        self._late = late
        self._appended: list[Callable[[], None]] = []
        self._ids: dict[str, tuple[int, float]] = {}
        self._batches: dict[str, list[Wire]] = {}
        self._last: dict[str, int] = {}
        self.seq = 0
        self.messages: dict[int, Message] = {}
        self.dead: dict[str, bytes] = {}
        self.timers: dict[str, int] = {}

    def on_append(self, call: Callable[[], None]) -> None:
        self._appended.append(call)

    def now(self) -> datetime:
        return epoch(START_S + self._loop.time())

    # publishing

    def publish(self, subject: str, data: bytes, headers: Headers) -> dict[str, Any] | None:
        """The acknowledgement, or None for a message of a batch that is not committed yet."""
        if subject.startswith(subjects.DEAD_SUBJECTS[0][:-1]):
            self.dead[headers[entries.MSG_ID]] = data
            return {"stream": subjects.DEAD, "seq": len(self.dead)}
        if subject.startswith(TIMER_ROOT):
            return {"stream": subjects.TIMERS, "seq": self._set_timer(data, headers)}
        if BATCH not in headers:
            return self._single(subject, data, headers)
        staged = self._batches.setdefault(headers[BATCH], [])
        staged.append((subject, data, headers))
        return self._commit(headers) if COMMIT in headers else None

    def _single(self, subject: str, data: bytes, headers: Headers) -> dict[str, Any]:
        """An expectation is looked at before the id, so that one's own write, sent again, is a conflict."""
        if self._unexpected(subject, headers):
            return _error(CONFLICT, "wrong last sequence")
        if known := self._known(headers):
            return {"stream": subjects.MESH, "seq": known, "duplicate": True}
        return {"stream": subjects.MESH, "seq": self._append(subject, data, headers)}

    def _commit(self, headers: Headers) -> dict[str, Any]:
        staged = self._batches.pop(headers[BATCH])
        if len(staged) != int(headers[BATCH_SEQ]):
            return _error(INCOMPLETE_BATCH, "atomic publish batch is incomplete")
        ids = [h[entries.MSG_ID] for _, _, h in staged if entries.MSG_ID in h]
        if len(set(ids)) < len(ids) or any(self._known(h) for _, _, h in staged):
            return _error(DUPLICATE_IN_BATCH, "atomic publish batch contains duplicate message id")
        if any(self._unexpected(subject, h) for subject, _, h in staged):
            return _error(CONFLICT, "wrong last sequence")
        for subject, data, h in staged:
            self._append(subject, data, h)
        return {"stream": subjects.MESH, "seq": self.seq, "batch": headers[BATCH], "count": len(staged)}

    def _known(self, headers: Headers) -> int | None:
        seq, at = self._ids.get(headers.get(entries.MSG_ID, ""), (None, 0.0))
        return seq if self._loop.time() - at < self._window_s else None

    def _unexpected(self, subject: str, headers: Headers) -> bool:
        if (expected := headers.get(EXPECTED)) is None:
            return False
        return int(expected) != self.last(headers.get(EXPECTED_ON, subject))

    def last(self, on: str) -> int:
        """The last sequence on a subject, or on a filter that ends in `>`."""
        if not on.endswith((">", "*")):
            return self._last.get(on, 0)
        return max((seq for subject, seq in self._last.items() if matches(on, subject)), default=0)

    def _append(self, subject: str, data: bytes, headers: Headers) -> int:
        self.seq += 1
        moment = self.now()
        entry = entries.read(subject, headers, data, self.seq, moment, INCARNATION)
        self.messages[self.seq] = Message(self.seq, subject, headers, data, moment, entry)
        self._last[subject] = self.seq
        if ident := headers.get(entries.MSG_ID):
            self._ids[ident] = self.seq, self._loop.time()
        for call in self._appended:
            call()
        return self.seq

    def _set_timer(self, data: bytes, headers: Headers) -> int:
        """Once for each id, like any other stream."""
        if headers[entries.MSG_ID] not in self.timers:
            self.timers[headers[entries.MSG_ID]] = len(self.timers) + 1
            at = datetime.fromisoformat(headers[SCHEDULE].removeprefix("@at ")).timestamp() - START_S
            if (late := self._late()) is not None:
                self._loop.call_at(max(at, self._loop.time()) + late, self._fire, headers[TARGET], data)
        return self.timers[headers[entries.MSG_ID]]

    def _fire(self, target: str, data: bytes) -> None:
        """What the timer says goes into the log, as the source of `MESH` has it."""
        found = subjects.find(target)
        assert found is not None, target
        self._append(subjects.DEADLINE.subject(**found[1]), data, {entries.SOURCE: f"{subjects.TIMERS} 1 > >"})

    # what may happen to it

    def power_cut(self, rng: random.Random) -> None:
        """Batches under way are gone. Where `synced` is False, so is some of what was acknowledged."""
        self._batches.clear()
        if not self.synced and self.seq:
            gone = [self.messages.pop(seq, None) for seq in range(max(1, self.seq - rng.randint(0, 5)), self.seq + 1)]
            for message in filter(None, gone):
                self._ids.pop(message.headers.get(entries.MSG_ID, ""), None)
            self._last = {m.subject: m.seq for m in self.messages.values()}

    # reading

    def after(self, seq: int) -> list[Message]:
        """What stands in the log after `seq`."""
        return [self.messages[i] for i in range(seq + 1, self.seq + 1) if i in self.messages]

    def kept(self) -> list[Message]:
        """The stream `LESSONS`: the server's own copies, each with its place in the log, made a moment later."""
        copies = []
        for m in self.matching([subjects.LESSON.wildcard], 0):
            headers, at = {**m.headers, entries.SOURCE: f"{subjects.MESH} {m.seq} > >"}, m.time + timedelta(seconds=COPIED_WITHIN_S)
            entry = entries.read(m.subject, headers, m.data, len(copies) + 1, at, INCARNATION, copied=True)
            copies.append(Message(len(copies) + 1, m.subject, headers, m.data, at, entry, subjects.LESSONS))
        return copies

    def matching(self, filters: list[str], after_seq: int) -> list[Message]:
        """What stands in the log after `after_seq` under these filters."""
        return [m for m in self.after(after_seq) if any(matches(f, m.subject) for f in filters)]


def matches(pattern: str, subject: str) -> bool:
    """Whether a subject falls under a NATS filter."""
    want, have = pattern.split("."), subject.split(".")
    if want[-1] == ">":
        want, have = want[:-1], have[: len(want) - 1] if len(have) >= len(want) else [""]
    return len(want) == len(have) and all(w in ("*", h) for w, h in zip(want, have, strict=True))


def _error(code: int, text: str) -> dict[str, Any]:
    return {"error": {"code": 400, "err_code": code, "description": text}}
