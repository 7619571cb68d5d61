"""Duplicates, shuffled order and late delivery: who says something again, otherwise, too early or too late changes nothing by it."""

import asyncio
import random
import subprocess
import sys
from collections import Counter
from typing import Final

import nats
import pytest
from nats.aio.client import Client

from bus import subjects
from bus.connection import Bus
from bus.entries import MSG_ID
from bus.log import entries
from schemas.dead import DeadLetter
from schemas.entry import Entry
from schemas.tasks import Result
from tests.faults.chances import Chances
from tests.faults.disorder import WINDOW_S, Disorder
from tests.faults.invariants import DRAIN_S, Judge
from tests.faults.load import Load
from tests.faults.planting import Change, mesh
from tests.faults.report import Report
from tests.faults.verdict import Verdict
from tests.fuzz import watch
from tests.history import Said, history
from tests.integration.launched import Up
from tests.integration.rest import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

SHORT: Final = {"CEREBRO_BUS_DUPLICATE_WINDOW_S": str(WINDOW_S)}
LASTS_S: Final = 40.0
ROUNDS: Final = 60
"""Of the history that is told three times, about 25 entries each."""
LETTERS_S: Final = 60.0
OURS: Final = "results stand more than once under one fence"
"""What the judge says of the results that are said again here."""


async def through(up: Up, chances: Chances, report: Report, seconds: float, drain_s: float = DRAIN_S) -> Verdict:
    """Load whose protocols are in disorder, judged. What stands twice because it was put there twice is no fault."""
    load = Load(up, chances.random("load"), name="order", only=("proposals", "tasks", "effects", "lessons", "stimuli"), pace_s=0.05)
    async with Disorder(up, chances.random("disorder"), load.hand) as disorder:
        async with load, asyncio.TaskGroup() as group:
            group.create_task(disorder.say_early(), name="say early")
            group.create_task(disorder.say_episodes(), name="say episodes")
            await asyncio.sleep(seconds)
        load.acknowledged.proposals += disorder.early
        load.acknowledged.tasks += disorder.early
    for (_, how, outcome), times in disorder.said.items():
        report.injected(f"{how}: {outcome}", times)
    judge = Judge(up, load, ids_kept=False)
    verdict = await judge.verdict(drain_s)
    verdict.broken = [broken for broken in verdict.broken if OURS not in broken]
    results, effects = (Counter(found) for found in ([(e.tokens["task"], e.body.fence) for e in judge.ledger.of(Result)], load.effects))
    verdict.twice -= {key for key, times in results.items() if times > 1 and effects[key] < 2}
    verdict.find("things that are written once were written again", disorder.taken)
    letters = Counter(e.body.headers.get(MSG_ID) for e in await letters_of(up) if "with other content" in e.body.reason)
    verdict.find("contradictions have not one letter", [i for i in disorder.contradicted if letters[i] != 1])
    return verdict


async def letters_of(up: Up) -> list[Entry]:
    bus = await Bus.connect(up.bus_settings(), "operator", 10.0)
    try:
        found = await entries(bus, list(subjects.DEAD_SUBJECTS), stream=subjects.DEAD, timeout_s=LETTERS_S)
    finally:
        await bus.close()
    return [e for e in found if isinstance(e, Entry) and isinstance(e.body, DeadLetter)]


def rebuilt_equal(up: Up) -> str | None:
    """What of derived memory is not what the log makes of it; None where all is."""
    command = (sys.executable, "-m", "cerebro", "memory", "rebuild", "--verify", "--data", str(up.data))
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    return None if done.returncode == 0 else done.stdout + done.stderr


async def test_what_is_said_again_otherwise_early_or_late_counts_once() -> None:
    chances = Chances()
    with mesh(SHORT) as up, Report("order", chances) as report:
        verdict = await through(up, chances, report, LASTS_S)
        report.verdict(verdict)
        assert verdict.broken == []
        assert rebuilt_equal(up) is None


async def test_a_history_told_three_times_in_any_order_is_remembered_once() -> None:
    """Every protocol, well and badly formed, made up: nobody ends by it, and memory holds each event once and nothing else."""
    chances = Chances()
    rng = chances.random("history")
    told = [said for said in history(rng, ROUNDS, "told") if len(said.msg_id) < 200]
    with mesh(SHORT) as up, Report("history", chances) as report:
        connection = await nats.connect(**up.credentials())
        processes, logs = watch.Processes(up.data), watch.Logs(up.data)
        try:
            report.injected("entries told again", 2 * len(told))
            for way in (told, shuffled(rng, told), shuffled(rng, told)):
                await tell(connection, way)
                await asyncio.sleep(WINDOW_S + 1)
        finally:
            await connection.close()
        await drained(up)
        report.figure("letters", len(await letters_of(up)))
        assert processes.faults() == []
        assert logs.faults() == []
        assert rebuilt_equal(up) is None


def shuffled(rng: random.Random, told: list[Said]) -> list[Said]:
    return rng.sample(told, len(told))


async def tell(connection: Client, told: list[Said]) -> None:
    for said in told:
        await connection.request(said.subject, said.data, timeout=30, headers={MSG_ID: said.msg_id})


async def drained(up: Up) -> None:
    """Wait until memory has come to the end of the log."""
    bus = await Bus.connect(up.bus_settings(), "operator", 10.0)

    async def behind() -> bool:
        return (await watch.persister(bus)).left == 0

    try:
        await eventually(behind, 120)
    finally:
        await bus.close()


PLANTED: Final[dict[str, tuple[Change, str]]] = {
    "a second vote counts": (Change("agents/consensus/rules.py", " and cast.agent not in counted", ""), "promises are broken in the log"),
    "a word under another fence counts": (
        Change("agents/tasks/rules.py", "    if fence != state.fence:\n", "    if fence < 0:\n"),
        "promises are broken in the log",
    ),
    "a contradiction is passed over": (
        Change("memory/persister.py", " and first.content_hash != row.content_hash", " and not row.content_hash"),
        "contradictions have not one letter",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
async def test_planted(name: str) -> None:
    """What this room says of a mesh that does not keep the promise."""
    bug, said = PLANTED[name]
    chances = Chances(7)
    with mesh(SHORT, changes=(bug,)) as up:
        verdict = await through(up, chances, Report("planted", chances), LASTS_S / 2, 40)
    assert any(said in broken for broken in verdict.broken), verdict.broken
