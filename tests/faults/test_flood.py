"""A flood: one client far beyond what is taken, at the door and on the bus: it is told so, others' work goes on, and all is worked off."""

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from typing import Any, Final

import httpx
import msgspec
import nats
import nats.errors
import pytest

from bus import subjects
from bus.connection import Bus
from bus.entries import MSG_ID
from bus.ids import uuid7
from bus.log import entries
from schemas.entry import Entry
from schemas.learning import LessonsRefused
from tests.faults.asking import dishonest
from tests.faults.chances import Chances
from tests.faults.invariants import Judge
from tests.faults.load import AGENTS, HONEST, INPUTS, Load
from tests.faults.planting import Change, mesh
from tests.faults.report import Report
from tests.faults.verdict import Verdict
from tests.fuzz import watch
from tests.integration.launched import Up
from tests.integration.rest import GOOD, eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_200)]

DOOR: Final = {
    "CEREBRO_GATEWAY_KEYS": "on",
    "CEREBRO_GATEWAY_RATE_OF_KEY": "300/minute",
    "CEREBRO_GATEWAY_RATE_OF_ADDRESS": "1000000/minute",
    "CEREBRO_GATEWAY_REQUESTS_MAX": "64",
}
"""So that both limits are met by one client on this machine."""
FLOODING: Final = 300
"""How many requests the flooding client has open at once."""
FLOOD_S: Final = 20.0
LESSONS_PER_MINUTE: Final = 100
OF_EACH: Final = {"episode": 3_000, "lesson": 300, "consensus.proposal": 200, "task.submitted": 400}
"""What the flooding agent tells, as fast as its connection takes it."""
UNHEARD: Final = 50_000
"""How many more episodes it sends before that without waiting for any word of the server."""
ON_THE_WAY: Final = 500
"""How many of its publishes wait for their acknowledgement."""
DRAIN_S: Final = 300.0
"""Within this a flood of that size has been worked off on two cores."""
OTHERS_S: Final = 120.0
"""Longest time of the others' small task and proposal while the flood lasts."""
ADDRESS: Final = "127.0.0.2"
"""Where the other client is."""


class Others:
    """What another client asks for meanwhile: a small task and a proposal, one after the other; how many came to their end."""

    def __init__(self, up: Up, headers: dict[str, str], kinds: tuple[str, ...] = ("task", "proposal")) -> None:
        self.ended: Counter[str] = Counter()
        self.refused: Counter[int] = Counter()
        self.slowest_s = 0.0
        self._up = up
        self._headers = headers
        self._kinds = kinds

    async def once(self) -> None:
        """One of each, asked again where it is refused."""
        bodies = {
            "task": ("/neural-mesh/task-distribute", self._task()),
            "proposal": ("/neural-mesh/consensus", {"title": "A small one", "attributes": GOOD, "electorate": AGENTS, "timeout_s": 60}),
        }
        transport = httpx.AsyncHTTPTransport(local_address=ADDRESS)
        async with httpx.AsyncClient(transport=transport, headers=self._headers, timeout=OTHERS_S, trust_env=False) as http:
            for kind in self._kinds:
                path, body = bodies[kind]
                began = time.monotonic()
                await eventually(lambda path=path, body=body, kind=kind: self._ask(http, path, body, kind), OTHERS_S)
                self.slowest_s = max(self.slowest_s, round(time.monotonic() - began, 1))

    @staticmethod
    def _task() -> dict[str, Any]:
        skill = "priority_setting"
        return {"title": "Rank", "required_skills": [skill], "input": INPUTS[skill], "priority": 9, "timeout_s": 90, "wait": True}

    async def _ask(self, http: httpx.AsyncClient, path: str, body: dict[str, Any], kind: str) -> bool:
        answer = await http.post(self._up.run.http + path, json=body)
        if answer.status_code in HONEST:
            self.refused[answer.status_code] += 1
            await asyncio.sleep(float(answer.headers.get("retry-after", 1)))
            return False
        ended = answer.status_code == 200 and answer.json()["status"] in {"succeeded", "accepted", "rejected"}
        self.ended[kind] += ended
        assert ended, answer.text
        return True


class Flooder:
    """A client of the door with `FLOODING` requests open at once."""

    def __init__(self, up: Up, rng: random.Random, headers: dict[str, str]) -> None:
        self.heard: Counter[int] = Counter()
        self.dishonest: list[str] = []
        self.acknowledged: dict[str, str] = {}
        self.cut = 0
        self._up = up
        self._rng = rng
        self._headers = headers
        self._n = 0

    async def flood(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        limits = httpx.Limits(max_connections=FLOODING, max_keepalive_connections=FLOODING)
        async with (
            httpx.AsyncClient(headers=self._headers, limits=limits, timeout=OTHERS_S, trust_env=False) as http,
            asyncio.TaskGroup() as group,
        ):
            for n in range(FLOODING):
                group.create_task(self._until(http, ends), name=f"flood {n}")

    async def _until(self, http: httpx.AsyncClient, ends: float) -> None:
        while time.monotonic() < ends:
            self._n += 1
            text = f"flood {self._n} {self._rng.getrandbits(64):016x}"
            path, body = self._rng.choice(
                [
                    ("/memory/action", {"action_type": "flood", "action_details": {"text": text}, "agent_id": "flood"}),
                    ("/memory/search", {"query": text}),
                    ("/neural-mesh/consensus", {"title": text, "electorate": AGENTS, "timeout_s": 20, "wait": False}),
                    ("/neural-mesh/task-distribute", Others._task() | {"title": text, "priority": 5, "wait": False}),
                ]
            )
            try:
                answer = await http.post(self._up.run.http + path, json=body)
            except httpx.TransportError:  # a connection that was idle is closed, and a client that uses it just then is cut
                self.cut += 1
                continue
            self.heard[answer.status_code] += 1
            if fault := dishonest(answer):
                self.dishonest.append(f"{path}: {fault}")
            if path == "/memory/action" and answer.is_success:
                self.acknowledged[answer.json()["episode_id"]] = text


def key(up: Up, name: str) -> dict[str, str]:
    """The header of a new API key."""
    command = [sys.executable, "-m", "cerebro", "key", "add", name, "--data", up.data]
    made = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return {"authorization": f"Bearer {made.stdout.strip()}"}


async def at_the_door(up: Up, chances: Chances, report: Report, seconds: float) -> tuple[Verdict, Flooder, Others]:
    load = Load(up, chances.random("load"), name="door", only=("bus",))
    flooder, others = Flooder(up, chances.random("flood"), key(up, "flood")), Others(up, key(up, "other"))
    async with load:
        flooding = asyncio.create_task(flooder.flood(seconds), name="flood")
        while not flooding.done():
            await others.once()
        await flooding
    load.acknowledged.episodes |= flooder.acknowledged
    report.figure("connections cut", flooder.cut)
    report.injected("requests", flooder.heard.total())
    for status, times in sorted(flooder.heard.items()):
        report.figure(f"flood answered with {status}", times)
    verdict = await Judge(up, load).verdict(DRAIN_S)
    verdict.find("processes ended", load.processes.faults())
    tell(report, others, verdict)
    return verdict, flooder, others


def tell(report: Report, others: Others, verdict: Verdict) -> None:
    report.figure("others' work that ended meanwhile", dict(others.ended))
    report.figure("others refused meanwhile", dict(others.refused))
    report.figure("slowest of the others in seconds", others.slowest_s)
    report.verdict(verdict)


async def test_at_the_door_it_is_told_and_another_clients_work_goes_on() -> None:
    chances = Chances()
    with mesh(DOOR) as up, Report("flood_at_the_door", chances) as report:
        verdict, flooder, others = await at_the_door(up, chances, report, FLOOD_S)
        assert verdict.broken == []
        assert flooder.dishonest == []
        assert flooder.heard[429] > 0
        assert flooder.heard[503] > 0
        assert min(others.ended["task"], others.ended["proposal"]) > 0


async def flooded(up: Up, rng: random.Random, of_each: dict[str, int], unheard: int, load: Load) -> Counter[str]:
    """An admitted agent tells all of it as fast as it can; what the server said, by outcome."""
    told = [row for row, times in of_each.items() for _ in range(times)]
    rng.shuffle(told)
    outcomes: Counter[str] = Counter()
    connection = await nats.connect(**up.admitted("flooder"), pending_size=64 * 1024**2)
    for number in range(unheard):
        subject, body = said("episode", "unheard", number)
        await connection.publish(subject, msgspec.json.encode(body))
        outcomes["episode sent without a word"] += 1
        if number % ON_THE_WAY == 0:
            await asyncio.sleep(0)
    room = asyncio.Semaphore(ON_THE_WAY)

    async def tell_one(row: str, number: int) -> None:
        """Acknowledged or refused."""
        ident = uuid7()
        subject, body = said(row, ident, number)
        async with room:
            try:
                reply = await connection.request(subject, msgspec.json.encode(body), timeout=OTHERS_S, headers={MSG_ID: ident})
            except nats.errors.Error as e:
                outcomes[type(e).__name__] += 1
                return
        answer = msgspec.json.decode(reply.data)
        outcomes[f"refused: {answer['error'].get('description')}" if "error" in answer else f"{row} stored"] += 1
        if row == "episode" and "error" not in answer:
            load.acknowledged.episodes[ident] = body["action_details"]["text"]

    try:
        async with asyncio.TaskGroup() as group:
            for number, row in enumerate(told):
                group.create_task(tell_one(row, number), name=f"flood {number}")
    finally:
        await connection.close()
    return outcomes


def said(row: str, ident: str, number: int) -> tuple[str, dict[str, Any]]:
    """What is told, and where."""
    text = f"flood {number} {ident}"
    match row:
        case "episode":
            return subjects.EPISODE.subject(agent="flooder"), {"action_type": "flood", "action_details": {"text": text}}
        case "lesson":
            return subjects.LESSON.subject(agent="flooder"), {"topic": text, "content": "water"}
        case "consensus.proposal":
            body = {"title": text, "attributes": GOOD, "electorate": AGENTS, "timeout_s": 60}
            return subjects.PROPOSAL.subject(proposal=ident, agent="flooder"), body
    task = Others._task()
    del task["wait"]
    return subjects.TASK_SUBMITTED.subject(task=ident), task | {"title": text, "priority": 5, "timeout_s": DRAIN_S}


async def on_the_bus(
    up: Up, chances: Chances, report: Report, of_each: dict[str, int], unheard: int, drain_s: float
) -> tuple[Verdict, Others]:
    load, others = Load(up, chances.random("load"), name="bus", pace_s=0.3), Others(up, {})
    began = time.monotonic()
    async with load:
        flooding = asyncio.create_task(flooded(up, chances.random("flood"), of_each, unheard, load), name="flood")
        await others.once()
        outcomes = await flooding
        report.figure("seconds of flood", round(time.monotonic() - began, 1))
        await others.once()
    for outcome, times in sorted(outcomes.items()):
        report.injected(outcome, times)
    judge = Judge(up, load)
    verdict = await judge.verdict(drain_s)
    verdict.find("processes ended", load.processes.faults())
    stored = sum(e.name == "episode" and e.agent == "flooder" for e in judge.ledger.entries)
    report.figure("of what was sent without a word is stored", stored - of_each["episode"])
    refused = {i for e in judge.ledger.of(LessonsRefused) for i in e.body.lesson_ids}
    letters = await letters_of_lessons(up)
    report.figure("lessons refused", len(refused))
    too_many = max(0, of_each["lesson"] - LESSONS_PER_MINUTE * (1 + int((time.monotonic() - began) / 60)))
    verdict.find("lessons above the limit were taken", [too_many] if len(refused) < too_many else [])
    verdict.find("refused lessons have not one letter", [i for i in refused if letters[i] != 1])
    tell(report, others, verdict)
    return verdict, others


async def letters_of_lessons(up: Up) -> Counter[str]:
    bus = await Bus.connect(up.bus_settings(), "operator", 10.0)
    try:
        pattern = subjects.DEAD_LETTER.subject(stream=subjects.MESH, consumer="learning")
        found = await entries(bus, [pattern], stream=subjects.DEAD, timeout_s=60.0)
    finally:
        await bus.close()
    return Counter(e.body.headers[MSG_ID] for e in found if isinstance(e, Entry))


LIMITED: Final = {"CEREBRO_AGENTS_LESSONS_PER_MINUTE_MAX": str(LESSONS_PER_MINUTE)}


async def test_on_the_bus_it_is_worked_off_and_everybody_elses_work_goes_on() -> None:
    chances = Chances()
    with mesh(LIMITED) as up, Report("flood_on_the_bus", chances) as report:
        before = watch.Processes(up.data)
        verdict, others = await on_the_bus(up, chances, report, OF_EACH, UNHEARD, DRAIN_S)
        grown = {name: (rss - before.rss_before[name]) // 2**20 for name, rss in before.rss().items()}
        report.figure("grown by MiB", grown)
        assert verdict.broken == []
        assert others.ended == {"task": 2, "proposal": 2}


DISHONEST: Final = Change("gateway/dispatch.py", 'raise Unavailable(f"{self._gate.requests}', 'raise RuntimeError(f"{self._gate.requests}')
NO_LIMIT: Final = Change("agents/learning/flood.py", "if len(taken) >= self._per_minute_max:", "if len(taken) < 0:")


async def test_planted_refusals_that_say_nothing_are_seen() -> None:
    chances = Chances(7)
    with mesh(DOOR, (DISHONEST,)) as up:
        _, flooder, _ = await at_the_door(up, chances, Report("planted", chances), 3.0)
    assert any(fault.startswith(("/memory", "/neural-mesh")) and ": 500" in fault for fault in flooder.dishonest)


async def test_planted_lessons_without_a_limit_are_seen() -> None:
    chances = Chances(7)
    with mesh(LIMITED, (NO_LIMIT,)) as up:
        verdict, _ = await on_the_bus(up, chances, Report("planted", chances), dict.fromkeys(OF_EACH, 0) | {"lesson": 300}, 0, 120)
    assert any("lessons above the limit" in broken for broken in verdict.broken), verdict.broken
