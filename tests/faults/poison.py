"""Bodies that are none, for every row of the log, as the operator and as an admitted agent may send them."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import nats
import nats.errors
from nats.aio.client import Client

from bus import entries, subjects
from bus.subjects import By, Subject
from schemas.entry import Malformed
from tests.faults.load import AGENTS, Load

ROWS: Final = tuple(row for row in subjects.TABLE if row.stream == subjects.MESH)
OF_AGENTS: Final = tuple(row for row in ROWS if row.by in {By.SELF, By.ANY})
"""What an agent of others may publish in its own name."""
AT_ONCE: Final = 8
"""How many publishes one identity has under way."""
WAIT_S: Final = 10.0
WRONG: Final[dict[str, Any]] = {
    **dict.fromkeys(("topic", "title", "lesson_id", "choice", "message", "head", "electorate", "ids", "error", "subtasks"), 5),
    **{name: {} for name in ("action_type", "cause", "reason", "concept", "status")},
    **dict.fromkeys(("fence", "valence"), "much"),
}
"""Fields of the wrong type; each row has one of them."""
BODIES: Final[tuple[Callable[[int], bytes], ...]] = (
    lambda n: b'{"n": %d' % n,
    lambda n: b"[%d]" % n,
    lambda n: b'"text %d"' % n,
    lambda n: b'\xff\xfe{"n": %d}' % n,
    lambda n: b'{"n": %d, "x": ' % n + b"[" * 3_000,
    lambda n: msgspec.json.encode(WRONG | {"n": n}),
    lambda n: b'{"n": %d}' % n + b" and more",
    lambda n: b"%d" % n + b" " * 100_000,
    lambda n: b'{"n": 1e9%d}' % n,
    lambda n: b'{"\\ud800 %d": 1}' % n,
)
"""How a body may be none. Each has its number in it, so that none stands twice."""


class Poison(msgspec.Struct, frozen=True):
    """What is sent."""

    row: str
    subject: str
    data: bytes


def poisons(rng: random.Random, rows: tuple[Subject, ...], tokens: Callable[[str], str], first: int) -> Iterator[Poison]:
    """Without end: each row in turn, each with a body that is none for it. `tokens` gives what stands for a token of its name."""
    number = first
    while True:
        for row in rows:
            number += 1
            subject = row.subject(**{name: tokens(name) for name in ("agent", "proposal", "task", "concept", "receipt", "stream")})
            data = rng.choice(BODIES)(number)
            while not is_none(subject, data):
                data = rng.choice(BODIES)(number)
            yield Poison(row.name, subject, data)


def is_none(subject: str, data: bytes) -> bool:
    """Whether no reader can read this."""
    return isinstance(entries.read(subject, None, data, 1, datetime.now(UTC), "test"), Malformed)


class Poisoner:
    """One identity that sends what is none, and what the server said of it: places by row."""

    def __init__(self, load: Load, rng: random.Random, credentials: dict[str, Any], name: str | None, first: int) -> None:
        rows = ROWS if name is None else OF_AGENTS
        self.stored: dict[int, str] = {}
        self.refused: Counter[str] = Counter()
        self._load = load
        self._rng = rng
        self._name = name
        self._credentials = credentials
        self._poisons = poisons(rng, rows, self._token, first)

    def _token(self, name: str) -> str:
        """An agent speaks as itself, of what others have under way; the operator as anybody, of what is its own."""
        said = self._load.acknowledged
        if name == "agent":
            return self._name or self._rng.choice(AGENTS)
        known = {"task": said.tasks, "proposal": said.proposals}.get(name) if self._name else None
        return self._rng.choice(known[-5:]) if known else f"poison-{self._rng.getrandbits(32):08x}"

    async def send(self, times: int) -> float:
        """Send so many as fast as they are taken; how many a second that was."""
        connection = await nats.connect(**self._credentials)
        began = time.monotonic()
        try:
            left = iter(range(times))
            async with asyncio.TaskGroup() as group:
                for n in range(AT_ONCE):
                    group.create_task(self._send_some(connection, left), name=f"poison {n}")
        finally:
            await connection.close()
        return times / (time.monotonic() - began)

    async def _send_some(self, connection: Client, left: Iterator[int]) -> None:
        for _ in left:
            poison = next(self._poisons)
            self._load.poison.add(poison.data)
            try:
                reply = await connection.request(poison.subject, poison.data, timeout=WAIT_S)
                self.stored[msgspec.json.decode(reply.data)["seq"]] = poison.row
            except (nats.errors.Error, KeyError) as e:
                self.refused[f"{poison.row}: {type(e).__name__}"] += 1
