"""Poison at a rate among good load: each is one dead letter with its reason, what is good goes on, and no process ends."""

import json
import subprocess
import sys
import time
from collections import Counter
from typing import Final

import pytest

from bus import subjects
from bus.connection import Bus
from bus.ids import uuid7
from bus.log import entries
from schemas.dead import DeadLetter
from schemas.entry import Entry
from tests.faults.chances import Chances
from tests.faults.invariants import judged
from tests.faults.load import Load
from tests.faults.planting import Change, mesh
from tests.faults.poison import OF_AGENTS, ROWS, Poisoner
from tests.faults.report import Report
from tests.faults.verdict import Verdict
from tests.integration.launched import Up
from tests.integration.rest import client, eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_200)]

POISONS: Final = 3_000
"""How many each of the two sends."""
BYTES_MAX: Final = 256 * 1024
"""Longest log of a process here, so that it is seen to begin anew."""
READ_S: Final = 120.0
REDRIVEN: Final = 5


async def letters(up: Up) -> list[Entry]:
    """All dead letters."""
    bus = await Bus.connect(up.bus_settings(), "operator", 10.0)
    try:
        found = await entries(bus, list(subjects.DEAD_SUBJECTS), stream=subjects.DEAD, timeout_s=READ_S)
    finally:
        await bus.close()
    return [e for e in found if isinstance(e, Entry)]


async def poisoned(up: Up, chances: Chances, report: Report, times: int, drain_s: float) -> tuple[Verdict, list[Poisoner]]:
    """Good load with poison in it by two, judged; what of the poison has no letter, or more than one, is among what is broken."""
    load = Load(up, chances.random("load"), name="poison")
    operator = Poisoner(load, chances.random("operator"), up.credentials(), None, 0)
    agent = Poisoner(load, chances.random("agent"), up.admitted("poisoner"), "poisoner", 10**9)
    began = time.monotonic()
    async with load:
        for each in (operator, agent):
            report.figure(f"poison a second of {'an agent' if each is agent else 'the operator'}", round(await each.send(times)))
    report.figure("seconds of poison", round(time.monotonic() - began))
    verdict = await judged(up, load, drain_s)
    stored = operator.stored | agent.stored
    report.injected("malformed entries", len(stored))
    told = [e.body for e in await letters(up) if isinstance(e.body, DeadLetter)]
    of_each = Counter(letter.stream_seq for letter in told)
    verdict.find("malformed entries have not one letter", [(seq, row) for seq, row in stored.items() if of_each[seq] != 1])
    verdict.find("letters without a reason", [letter.stream_seq for letter in told if not letter.reason])
    verdict.find("processes ended", load.processes.faults())
    return verdict, [operator, agent]


async def test_poison_becomes_letters_and_what_is_good_goes_on() -> None:
    chances = Chances()
    with mesh({"CEREBRO_LOG_FILE_BYTES_MAX": str(BYTES_MAX)}) as up, Report("poison", chances) as report:
        verdict, poisoners = await poisoned(up, chances, report, POISONS, 240)
        for poisoner, rows in zip(poisoners, (ROWS, OF_AGENTS), strict=True):
            assert set(poisoner.stored.values()) == {row.name for row in rows}
            assert not poisoner.refused
        logs = {path.name: path.stat().st_size for path in (up.data / "logs").iterdir()}
        report.figure("bytes of all logs", sum(logs.values()))
        report.verdict(verdict)
        assert verdict.broken == []
        assert logs["memory.old"] > BYTES_MAX, "no log was long enough to begin anew"
        await redrives(up)


async def redrives(up: Up) -> None:
    """Letters are listed, shown and redriven by hand, those that are none included."""
    told = [e for e in await letters(up) if isinstance(e.body, DeadLetter)]
    for letter in told[:: len(told) // REDRIVEN][:REDRIVEN]:
        shown = cerebro(up, "dead", "show", str(letter.seq))
        assert json.loads(shown.stdout)["reason"] == letter.body.reason
        assert "redriven" in cerebro(up, "dead", "redrive", str(letter.seq)).stdout
        await eventually(lambda subject=letter.body.subject, seq=letter.seq: again(up, subject, seq))
    ident = uuid7()
    by_hand = {"reason": "by hand", "subject": "memory.episode.ops", "stream_seq": 1, "delivered": 1, "first_seen": "2026-01-01T00:00:00Z"}
    bus = await Bus.connect(up.bus_settings(), "operator", 10.0)
    try:
        good = by_hand | {"headers": {"Nats-Msg-Id": ident}, "data": "eyJhY3Rpb25fdHlwZSI6ICJyZWRyaXZlbiJ9"}
        bad = by_hand | {"headers": {}, "data": "no base64"}
        rows = [await bus.publish(subjects.DEAD_LETTER, json.dumps(b).encode(), stream="MESH", consumer="memory") for b in (good, bad)]
        places = [row.seq for row in rows]
    finally:
        await bus.close()
    assert cerebro(up, "dead", "redrive", str(places[0])).returncode == 0
    async with client(up.run.http) as http:

        async def remembered() -> bool:
            return (await http.get(f"/memory/episodic/{ident}")).status_code == 200

        await eventually(remembered)
    assert json.loads(cerebro(up, "dead", "show", str(places[1])).stdout)["data"] == "no base64"
    assert "is no base64" in cerebro(up, "dead", "redrive", str(places[1])).stderr
    assert cerebro(up, "dead", "list").stdout.endswith("dead letters\n")


async def again(up: Up, subject: str, before: int) -> bool:
    """Whether what was redriven has become a letter again, as it is as malformed as it was."""
    return any(e.seq > before and e.body.subject == subject for e in await letters(up))


def cerebro(up: Up, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cerebro", *words, "--data", str(up.data)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


AGAIN: Final = "stream=subjects.MESH, consumer=consumer)\n    await bus.publish(subjects.DEAD_LETTER, letter, "
PLANTED: Final[dict[str, tuple[Change, str]]] = {
    "what is malformed is passed over": (
        Change("memory/batch.py", "refused.append(Refusal(entry, entry.reason))\n            continue\n", "continue\n"),
        "malformed entries have not one letter",
    ),
    "a letter is written twice": (
        Change("bus/delivery.py", *(f"await bus.publish(subjects.DEAD_LETTER, letter, {more}" for more in ("msg_id=ident, ", AGAIN))),
        "malformed entries have not one letter",
    ),
    "a malformed entry ends who reads it": (
        Change("agents/actor.py", "(entry, Malformed):\n            return", "(entry, Malformed):\n            raise SystemExit(1)"),
        "processes ended",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
async def test_planted(name: str) -> None:
    """What this room says of a mesh that does not keep the promise."""
    bug, said = PLANTED[name]
    chances = Chances(7)
    with mesh(changes=(bug,)) as up:
        verdict, _ = await poisoned(up, chances, Report("planted", chances), 100, 20)
    assert any(said in broken for broken in verdict.broken), verdict.broken
