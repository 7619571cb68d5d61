"""The judge names what is planted: each loss, each doubling and each end that is missing, and nothing where all is well."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from bus import subjects
from bus.subjects import Subject
from schemas.consensus import CountedVote, Decision, Opened, Proposal, Vote
from schemas.entry import Entry
from schemas.learning import Integrated, Lesson
from schemas.memory import Action
from schemas.tasks import AssignedTask, Assignment, Finished, Result, Submission
from tests.faults.chances import Chances
from tests.faults.invariants import Ledger, Row, judge_effects, judge_log, judge_rows
from tests.faults.load import ACTION, AGENTS, HAND, Acknowledged, Load
from tests.faults.report import Line, Report, share, summed
from tests.faults.verdict import Verdict

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
HANDED = f"{HAND}h"
PROPOSAL = Proposal(title="go on", electorate=AGENTS)
TASK = Submission(title="do it", required_skills=["effect_h"])


def counted(agent: str, seq: int) -> CountedVote:
    return CountedVote(agent=agent, choice="approve", confidence=1.0, rationale="", evidence=[], seq=seq, counted=True)


DECISION = Decision(
    status="accepted",
    choice="approve",
    tally={"approve": 2, "reject": 0, "abstain": 0, "absent": 1},
    votes=[counted("aria", 5), counted("nexus", 6)],
    decided_at_seq=6,
)


class Story:
    """A log, the rows made of it, and a load that was told what of it was acknowledged: all as it should be, until it is changed."""

    def __init__(self) -> None:
        self.said: list[tuple[Subject, str, Any, dict[str, str]]] = []
        for n in (1, 2):
            self.say(subjects.EPISODE, f"e{n}", Action(action_type=ACTION, action_details={"text": f"text {n}"}), agent="load")
        self.say(subjects.PROPOSAL, "p", PROPOSAL, proposal="p", agent="gateway")
        opened = {f: getattr(PROPOSAL, f) for f in Proposal.__struct_fields__}
        self.say(subjects.OPENED, "o", Opened(**opened, proposer="gateway", deadline="2026-01-01T00:00:10Z"), proposal="p")
        self.say(subjects.VOTE, "va", Vote(choice="approve"), proposal="p", agent="aria")
        self.say(subjects.VOTE, "vn", Vote(choice="approve"), proposal="p", agent="nexus")
        self.say(subjects.DECISION, "d", DECISION, proposal="p")
        self.say(subjects.TASK_SUBMITTED, "t", TASK, task="t")
        given = {f: getattr(TASK, f) for f in Submission.__struct_fields__}
        assignment = Assignment(fence=1, lease_s=10.0, task=AssignedTask(**given, task_id="t"))
        self.say(subjects.TASK_ASSIGNED, "ta", assignment, task="t", agent=HANDED)
        self.say(subjects.TASK_RESULT, "tr", Result(fence=1, output={"effect": 1}), task="t", agent=HANDED)
        self.say(subjects.TASK_FINISHED, "tf", Finished(status="succeeded", agent=HANDED, output={"effect": 1}), task="t")
        self.say(subjects.LESSON, "l", Lesson(topic="a", content="b"), agent="aria")
        for agent in ("nexus", "ricardo"):
            self.say(subjects.INTEGRATED, f"l {agent}", Integrated(lesson_id="l"), agent=agent)
        self.rows_change: Callable[[list[Row]], Any] = lambda rows: None
        self.effects = [("t", 1, 1)]

    def say(self, row: Subject, ident: str, body: Any, **tokens: str) -> None:
        self.said.append((row, ident, body, tokens))

    def unsay(self, ident: str) -> None:
        self.said = [each for each in self.said if each[1] != ident]

    def verdict(self) -> Verdict:
        ledger, load, verdict = Ledger(), cast("Load", Told(self.effects)), Verdict()
        ledger.skills[HANDED] = ["effect_h"]
        ledger.take([entry(seq, *said) for seq, said in enumerate(self.said, 1)])
        rows = [row(e) for e in ledger.entries]
        self.rows_change(rows)
        judge_log(verdict, ledger, load)
        judge_effects(verdict, ledger, load)
        judge_rows(verdict, ledger, load, rows, 1)
        ends = ledger.oracle.open_ends({(agent, agent) for agent in AGENTS})
        verdict.find("things have not ended", [end for end in ends if "joined" not in end])
        return verdict


class Told:
    """As a load has it afterwards."""

    def __init__(self, effects: list[tuple[str, int, int]]) -> None:
        self.acknowledged = Acknowledged(episodes={"e1": "text 1", "e2": "text 2"}, proposals=["p"], tasks=["t"], lessons=["l"])
        self.effects = effects
        self.hand = HANDED
        self.poison: set[bytes] = set()


def entry(seq: int, said_on: Subject, ident: str, body: Any, tokens: dict[str, str]) -> Entry:
    moment = BEGAN + timedelta(milliseconds=100 * seq)
    return Entry(seq=seq, time=moment, event_id=ident, subject=said_on.subject(**tokens), name=said_on.name, tokens=tokens, body=body)


def row(e: Entry) -> Row:
    text = e.body.action_details["text"] if isinstance(e.body, Action) else None
    return Row(e.event_id, e.seq, e.agent, ACTION if text else e.name, text)


def second_decision(story: Story) -> None:
    story.say(subjects.DECISION, "d2", DECISION, proposal="p")


def decision_that_counts_a_vote_twice(story: Story) -> None:
    at = next(n for n, said in enumerate(story.said) if said[1] == "d")
    tally = {**DECISION.tally, "approve": 3, "absent": 0}
    votes = [*DECISION.votes, counted("nexus", 6)]
    story.said[at] = (subjects.DECISION, "d", msgspec.structs.replace(DECISION, tally=tally, votes=votes), {"proposal": "p"})


def row_of_another_text(rows: list[Row]) -> None:
    rows[0] = msgspec.structs.replace(rows[0], text="another text")


def of_rows(change: Callable[[list[Row]], Any]) -> Callable[[Story], None]:
    def plant(story: Story) -> None:
        story.rows_change = change

    return plant


FAULTS: list[tuple[str, Callable[[Story], Any], str, int, int]] = [
    ("an episode is not in the log", lambda s: s.unsay("e1"), "acknowledged episodes are not in the log: e1", 1, 0),
    ("a row is deleted", of_rows(lambda rows: rows.pop(0)), "acknowledged episodes have no row: e1", 1, 0),
    (
        "a row of the protocols is deleted",
        of_rows(lambda rows: rows.pop(3)),
        "entries of the log have no row: mesh.consensus.p.opened at 4",
        1,
        0,
    ),
    ("a row stands twice", of_rows(lambda rows: rows.append(rows[0])), "events have more than one row: e1", 0, 1),
    (
        "a row stands twice under two ids",
        of_rows(lambda rows: rows.append(msgspec.structs.replace(rows[0], episode_id="new"))),
        "rows stand for no entry of the log: new",
        0,
        1,
    ),
    ("a row has another text", of_rows(row_of_another_text), "rows have another text: e1", 0, 0),
    (
        "an event stands twice in the log",
        lambda s: s.say(subjects.EPISODE, "e1", s.said[0][2], agent="load"),
        "events stand more than once in the log: e1",
        0,
        1,
    ),
    (
        "an event stands twice under two ids",
        lambda s: s.say(subjects.EPISODE, "e3", s.said[0][2], agent="load"),
        "texts stand more than once in the log: e3",
        0,
        1,
    ),
    ("a proposal is not in the log", lambda s: s.unsay("p"), "acknowledged proposals are not in the log: p", 1, 0),
    ("a second decision", second_decision, "is decided twice", 0, 0),
    ("a vote is counted twice", decision_that_counts_a_vote_twice, "the log says", 0, 0),
    ("a proposal has no decision", lambda s: s.unsay("d"), "proposal p is undecided", 0, 0),
    ("a task is not in the log", lambda s: s.unsay("t"), "acknowledged tasks are not in the log: t", 1, 0),
    ("a task has no end", lambda s: s.unsay("tf"), "task t is not finished", 0, 0),
    (
        "a task ends twice",
        lambda s: s.say(subjects.TASK_FINISHED, "tf2", Finished(status="expired"), task="t"),
        "is finished twice",
        0,
        0,
    ),
    (
        "an effect happens twice",
        lambda s: s.effects.append(("t", 1, 1)),
        "effects happened more than once under one fence in one life: ('t', 1, 1)",
        0,
        1,
    ),
    ("an effect that is claimed never was", lambda s: s.effects.clear(), "tasks ended with an effect that was not theirs: t", 0, 0),
    (
        "two results under one fence",
        lambda s: s.say(subjects.TASK_RESULT, "tr2", Result(fence=1), task="t", agent=HANDED),
        "results stand more than once under one fence: ('t', 1)",
        0,
        1,
    ),
    ("a lesson is not in the log", lambda s: s.unsay("l"), "acknowledged lessons are not in the log: l", 1, 0),
    ("a lesson has no receipt", lambda s: s.unsay("l ricardo"), "ricardo has not integrated l", 0, 0),
]


def test_where_all_is_well_nothing_is_named() -> None:
    assert Story().verdict().broken == []


@pytest.mark.parametrize(("plant", "told", "lost", "doubled"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_what_is_planted_is_named(plant: Callable[[Story], Any], told: str, lost: int, doubled: int) -> None:
    story = Story()
    plant(story)
    verdict = story.verdict()
    assert told in "; ".join(verdict.broken)
    assert (verdict.lost, verdict.doubled) == (lost, doubled)


class TestTheReport:
    def test_shares_are_of_the_ordered_values(self) -> None:
        values = [float(n) for n in range(200, 0, -1)]
        assert [share(values, of) for of in (0.5, 0.99, 1.0)] == [100.0, 198.0, 200.0]
        assert (share([3.0], 0.99), share([], 0.5)) == (3.0, 0.0)

    def test_it_says_what_was_lost_and_how_it_is_played_again(self, capsys: pytest.CaptureFixture[str]) -> None:
        with Report("kills", Chances(4711)) as report:
            report.injected("kill nats")
            report.recovered("kill nats", 1.25)
            report.verdict(Verdict(broken=["1 rows are gone: e1"], missing={"e1"}, acknowledged=10, drained_s=2.0))
        said = capsys.readouterr().out
        for told in (
            "kill nats 1",
            "acknowledged 10, lost 1, doubled 0",
            "p99 1.2 s",
            "BROKEN 1 rows are gone: e1",
            "CEREBRO_FAULTS_SEED=4711",
        ):
            assert told in said

    def test_runs_are_summed(self) -> None:
        lines = [
            Line(what="kills", seed=n, injected={"kill nats": 3}, acknowledged=1_000, lost=n, recovery_s={"kill nats": [1.0, 2.0, n]})
            for n in (0, 3)
        ]
        table = summed(lines)
        assert "| kills | 2 | 6 | 2,000 | 3 | 0 | 0 | 0 | 0 | 0.0 s |" in table
        assert "| kills | kill nats | 6 | 1.0 s | 3.0 s | 3.0 s |" in table


def test_the_same_seed_draws_the_same_for_each_purpose() -> None:
    one, other = Chances(7), Chances(7)
    one.random("load").random()
    assert one.random("kills").random() == other.random("kills").random() != other.random("load").random()


def test_what_is_asked_of_these_tests_is_no_setting_of_a_mesh() -> None:
    code = "import os, tests.faults.chances as c; print(c.number('KILLS'), 'CEREBRO_FAULTS_KILLS' in os.environ)"
    environ = {**os.environ, "CEREBRO_FAULTS_KILLS": "7"}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environ, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["7", "False"]
