"""What is looked at from outside while a mesh is fuzzed: its processes, its logs, its consumers, its memory, and whether it works."""

import os
import re
from pathlib import Path
from typing import Any

import msgspec
import psutil

from bus import subjects
from bus.connection import Bus
from bus.log import bounds, entries
from cerebro import runfile
from schemas.dead import DeadLetter
from schemas.entry import Entry
from schemas.memory import StatsRequest
from tests.integration import rest
from tests.integration.launched import alive

TRACE = re.compile(rb"Traceback \(most recent call last\)|panic: |never retrieved|never awaited|segfault|FATAL")
"""What no log may say: the signs of a fault that nobody expected."""
RSS_GROWTH_BYTES_MAX = 1024**3
"""Most that the resident memory of one process may grow in a run."""
SHOWN_BYTES = 3_000
LETTERS_TIMEOUT_S = 120.0
"""Longest time to read all dead letters."""
WORK_S = 300.0
"""Longest time for the mesh to do one piece of its work when it is calm again."""
CALM_S = 120.0
"""Longest time until the members are the three again."""


class Processes:
    """The processes of one mesh, as they were when this was made."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._first = self._now()
        self.rss_before = self.rss()

    def _now(self) -> dict[str, int]:
        run = runfile.read(self._data)
        return run.processes if run else {}

    def faults(self) -> list[str]:
        """Which of them ended or were started again."""
        now = self._now()
        ended = [name for name, pid in self._first.items() if now.get(name) == pid and not alive(pid)]
        return [f"{name} ended" for name in ended] + [f"{n} was started again" for n, pid in self._first.items() if now.get(n) != pid]

    def rss(self) -> dict[str, int]:
        """Resident memory of each with its children, in bytes."""
        return {name: _rss(pid) for name, pid in self._now().items()}

    def grown(self) -> list[str]:
        """Which of them have grown by more than they may."""
        before = self.rss_before
        return [f"{n} grew from {before[n]:,} to {r:,} bytes" for n, r in self.rss().items() if r - before.get(n, r) > RSS_GROWTH_BYTES_MAX]


def _rss(pid: int) -> int:
    try:
        process = psutil.Process(pid)
        family = (process, *process.children(recursive=True)) if process.name().startswith("postgres") else (process,)
        return sum(p.memory_full_info().pss for p in family)  # what PostgreSQL's processes share counts once
    except psutil.NoSuchProcess:
        return 0


class Logs:
    """The logs of a data folder from now on: what is bad in them is told once."""

    def __init__(self, data: Path) -> None:
        self._folder = data / "logs"
        self._read = {path: path.stat().st_size for path in self._folder.glob("*.log")}

    def faults(self) -> list[str]:
        """What has been written since the last look that no log may say."""
        found = []
        for path in sorted(self._folder.glob("*.log")):
            new, self._read[path] = _since(path, self._read.get(path, 0))
            if sign := TRACE.search(new):
                shown = new[max(0, sign.start() - 300) : sign.start() + SHOWN_BYTES].decode("utf-8", "replace")
                found.append(f"{path.name} says:\n{shown}")
        return found


def _since(path: Path, at: int) -> tuple[bytes, int]:
    """What a log says from this place on, and how far that reaches; where it began anew meanwhile, what is left of the one before too."""
    with path.open("rb") as log:
        begun_anew = log.seek(0, os.SEEK_END) < at
        first = log.seek(0 if begun_anew else at)
        new = log.read()
    before = path.with_suffix(".old").read_bytes()[at:] if begun_anew else b""
    return before + new, first + len(new)


class Consumer(msgspec.Struct, frozen=True):
    """How far a consumer is."""

    name: str
    left: int
    place: int


async def consumers(bus: Bus, stream: str) -> list[Consumer]:
    """Every consumer of a stream, with what is left for it to do; but for those of agents that the fuzzer invented, who never work."""
    answer: dict[str, Any] = await bus.api(f"CONSUMER.LIST.{bus.stream(stream)}", {"offset": 0}, timeout_s=20.0)
    return [
        Consumer(c["name"], c["num_pending"] + c["num_ack_pending"], c["ack_floor"]["stream_seq"] + c["delivered"]["stream_seq"])
        for c in answer.get("consumers") or ()
        if (c["config"].get("durable_name") or c["num_waiting"]) and "fz-" not in c["name"]
    ]


async def persister(bus: Bus) -> Consumer:
    """Memory itself, which keeps its place in PostgreSQL. Raises `Unavailable` or `TimedOut` where it does not say."""
    stats = await bus.ask(subjects.MEMORY_STATS, StatsRequest(), timeout_s=20.0)
    _, last = await bounds(bus)
    return Consumer("of memory", max(0, last - stats.persisted_seq), stats.persisted_seq)


class Drain:
    """Looks at the consumers again and again: `left`, and which of them have not moved for `patience_s`."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._moved: dict[str, tuple[int, float]] = {}

    def stuck(self, seen: list[Consumer], now: float) -> list[str]:
        """Those with something left that stand where they stood `patience_s` ago. `now`: monotonic seconds."""
        found = []
        for consumer in seen:
            place, since = self._moved.get(consumer.name, (-1, now))
            if consumer.left == 0 or consumer.place != place:
                self._moved[consumer.name] = (consumer.place, now)
            elif now - since >= self._patience_s:
                found.append(f"consumer {consumer.name} stands still with {consumer.left} left")
        return found


async def unburied(bus: Bus, malformed: set[int]) -> list[str]:
    """What stands at these places of the log and has no dead letter with a reason. A place that is empty was forgotten."""
    pattern = subjects.DEAD_LETTER.subject(stream=subjects.MESH, consumer="memory")
    letters = await entries(bus, [pattern], stream=subjects.DEAD, timeout_s=LETTERS_TIMEOUT_S)
    told = {e.body.stream_seq for e in letters if isinstance(e, Entry) and isinstance(e.body, DeadLetter) and e.body.reason}
    standing = {seq: await bus.raw_at(seq) for seq in sorted(malformed - told)}
    return [f"{seq}, {bus.plain(raw.subject)}, {raw.headers}, {raw.data[:100]!r}" for seq, raw in standing.items() if raw is not None]


OURS = ["aria", "nexus", "ricardo"]
CRITERIA = {
    "criteria": [{"name": "value", "weight": 1.0}],
    "items": [{"id": "a", "scores": {"value": 1.0}}, {"id": "b", "scores": {"value": 2.0}}],
}


async def works(http_url: str, word: str) -> list[str]:
    """Have it decide, work, learn and remember; what it did not do. `word` is one that it has never heard."""
    found = []
    async with rest.client(http_url) as http:
        await rest.eventually(lambda: _calm(http), CALM_S)
        for name, look in (("consensus", _decides), ("task", _does), ("lesson", _learns), ("episode", _remembers)):
            try:
                await rest.eventually(lambda look=look: look(http, word), WORK_S)
            except AssertionError as e:
                found.append(f"{name}: {e}")
    return found


async def _calm(http: Any) -> bool:
    agents = (await rest.get(http, "/neural-mesh/connected-agents"))["agents"]
    return sorted(name for name, agent in agents.items() if agent["status"] == "active") == OURS


async def _decides(http: Any, word: str) -> bool:
    body = {"title": f"Adopt {word}", "electorate": OURS, "attributes": rest.GOOD, "timeout_s": 30}
    ended = await rest.post(http, "/neural-mesh/consensus", body, 200)
    assert ended["status"] in {"accepted", "rejected"}, ended
    return True


async def _does(http: Any, word: str) -> bool:
    body = {"title": f"Rank {word}", "required_skills": ["priority_setting"], "input": CRITERIA, "timeout_s": 35, "wait": True}
    ended = await rest.post(http, "/neural-mesh/task-distribute", body, 200)
    assert ended["status"] == "succeeded", ended
    return True


async def _learns(http: Any, word: str) -> bool:
    body = {"agent": "nexus", "topic": word, "content": f"what {word} taught", "wait_s": 30}
    receipt = await rest.post(http, "/neural-mesh/cross-learning", body, 202)
    assert {"aria", "ricardo"} <= set(receipt["integrated_by"]), receipt
    return True


async def _remembers(http: Any, word: str) -> bool:
    body = {"action_type": "note", "action_details": {"text": f"{word} was seen"}, "agent_id": "fuzz"}
    answer = await http.post("/memory/action?wait=searchable", json=body)
    assert answer.status_code in {201, 202}, answer.text
    hits = await rest.post(http, "/memory/search", {"query": word, "limit": 50}, 200)
    assert answer.json()["episode_id"] in {hit["id"] for hit in hits["results"]}, hits
    return True
