"""Plays inputs against one mesh: so many in flight at a time, each judged, each counted."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Self

import httpx
import msgspec

from bus import entries, subjects
from bus.settings import BusSettings
from tests.fuzz import judge
from tests.fuzz.inputs import DEAR, BusInput, DoorInput, made
from tests.fuzz.wire import Gone, Reply, Wire

IN_FLIGHT_MAX = 48
"""Most inputs in flight; fewer than a service lets wait, so that an answer of overload is a fault."""
REPLY_S = 60.0
"""Longest wait for an answer on the bus; longer is silence."""
SLOW_REPLY_S = 1_000.0
"""Longest wait for the answer to what works for long, and for any of the door's."""
ACK_S = 30.0
"""Longest wait for the server's acknowledgement."""
FAULTS_MAX = 20
"""After so many faults no more is played."""


class Fault(msgspec.Struct, frozen=True):
    """What broke, and the inputs that may have done it: from the first to the last."""

    text: str
    first: int
    last: int

    def told(self, seed: int) -> str:
        """With what plays it again."""
        which = self.first if self.first == self.last else f"{self.first}:{self.last + 1}"
        return f"BROKEN {self.text}\n  replay: make fuzz ARGS='--seed {seed} --only {which}'"


class Tally(msgspec.Struct):
    """What came of the inputs."""

    inputs: int = 0
    outcomes: dict[str, Counter[str]] = {}
    faults: list[Fault] = []
    malformed: set[int] = set()
    """Places in the log of what must become a dead letter."""

    def count(self, row: str, outcome: str) -> None:
        self.inputs += 1
        self.outcomes.setdefault(row, Counter())[outcome] += 1


class Player:
    """`play` from a list of indices, until they end, `stop_at` (monotonic seconds) is reached, or too much broke."""

    def __init__(self, seed: int, wire: Wire, http: httpx.AsyncClient, settings: BusSettings) -> None:
        self._seed = seed
        self._wire = wire
        self._http = http
        self._settings = settings
        self._door = asyncio.Semaphore(IN_FLIGHT_MAX // 3)
        self._reconnecting = asyncio.Lock()
        self._ended = False
        self.tally = Tally()
        self.index = 0

    @classmethod
    async def connect(cls, seed: int, settings: BusSettings, http_url: str) -> Self:
        http = httpx.AsyncClient(base_url=http_url, timeout=SLOW_REPLY_S, trust_env=False)
        return cls(seed, await Wire.connect(settings), http, settings)

    async def close(self) -> None:
        await self._wire.close()
        await self._http.aclose()

    async def play(self, indices: Iterable[int], stop_at: float = float("inf")) -> None:
        """All of it, `IN_FLIGHT_MAX` at a time."""
        line = iter(indices)
        async with asyncio.TaskGroup() as players:
            for _ in range(IN_FLIGHT_MAX):
                players.create_task(self._play_some(line, stop_at))

    async def _play_some(self, line: Iterator[int], stop_at: float) -> None:
        for index in line:
            await self.one(index)
            if self._ended or time.monotonic() >= stop_at or len(self.tally.faults) >= FAULTS_MAX:
                return

    def end(self) -> None:
        """Play no more."""
        self._ended = True

    async def one(self, index: int) -> None:
        """Play the input at `index`."""
        self.index = max(self.index, index)
        played = made(self._seed, index)
        verdict = await (self._to_the_bus(played) if isinstance(played, BusInput) else self._to_the_door(played))
        self.tally.count(played.row, verdict.outcome)
        if verdict.fault:
            self.fault(f"{played.row} ({', '.join(played.how) or 'good'}): {verdict.fault}", index)

    def fault(self, text: str, first: int, last: int | None = None) -> None:
        """Told at once, with its replay, as a run may be long."""
        broken = Fault(text, first, first if last is None else last)
        self.tally.faults.append(broken)
        print(broken.told(self._seed), flush=True)

    async def _to_the_bus(self, played: BusInput) -> judge.Verdict:
        row = judge.ROW_OF[played.row]
        try:
            if row.reply is not None:
                known = subjects.find(played.subject.decode()) is not None
                reply = await self._asked(played, SLOW_REPLY_S if known and row.name in DEAR else REPLY_S)
                if reply is None and not known:
                    return judge.Verdict("no such subject")  # the server drops it, unseen by anybody
                return judge.of_question(played.row, reply)
            if row.stream is None and row is not subjects.PRESENCE:
                await self._wire.send(played.subject, played.headers, played.data)
                return judge.Verdict("sent")
            reply = await self._asked(played, ACK_S)
        except Gone as e:
            await self._again()
            return judge.Verdict(f"the server hung up: {e}")
        verdict = judge.of_publish(reply)
        if verdict.outcome == "stored" and reply is not None and row.stream == subjects.MESH and is_malformed(played):
            self.tally.malformed.add(msgspec.json.decode(reply.data)["seq"])
        return verdict

    async def _asked(self, played: BusInput, wait_s: float) -> Reply | None:
        try:
            return await self._wire.ask(played.subject, played.headers, played.data, wait_s)
        except TimeoutError:
            return None

    async def _again(self) -> None:
        async with self._reconnecting:
            if self._wire.closed:
                await self._wire.close()
                self._wire = await Wire.connect(self._settings)

    async def _to_the_door(self, played: DoorInput) -> judge.Verdict:
        url = self._http.base_url.copy_with(raw_path=played.path.encode())
        headers = [(name.encode(), value.encode("latin-1")) for name, value in played.headers.items()]
        try:
            async with self._door:
                answer = await self._http.request(played.method, url, headers=headers, content=played.data)
        except httpx.LocalProtocolError:
            return judge.Verdict("not sent")  # the client library refuses this header
        except httpx.TimeoutException:
            return judge.Verdict("silence", f"no answer within {SLOW_REPLY_S:g} s")
        except httpx.HTTPError as e:
            return judge.Verdict("no answer", f"{type(e).__name__}: {e}")
        media = answer.headers.get("content-type", "").partition(";")[0]
        return judge.of_door(played.row, answer.status_code, media, answer.content, answer.headers.get("retry-after"))


def is_malformed(played: BusInput) -> bool:
    """Whether this is no well-formed message of its subject."""
    found = subjects.find(played.subject.decode())
    if found is None:
        return True
    try:
        entries.decode(found[0].body, played.data)
    except entries.BAD_BODY:
        return True
    return False
