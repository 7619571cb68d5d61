"""What must hold when the faults are over, whatever they were. Read from the log, from PostgreSQL and from every agent's answers.

    verdict = await judged(up, load)

- Every acknowledged episode stands in the log once and in PostgreSQL once, with the text that was acknowledged, and so does every other
  entry of the log; no row stands for nothing; what was acknowledged of proposals, tasks, lessons and stimuli stands in the log.
- What the log tells is what the protocols promise: `tests/simulation/oracle.py` recounts it without any of the rules.
- Everything has ended: proposals, tasks, lessons with every agent, stimuli, membership; and all backlogs are drained.
- Every replica answers what the log says. Who answers is the server's choice, so each question is asked until one that says otherwise
  would have been heard: with three replicas, `ASKED` times leave it a chance of (2/3)^ASKED.
- The effect of a task on the world outside happens once under each fence in one life of the agent, and what a task ended with was done.
- No process has grown beyond bounds or was given up, and no log holds a trace that nobody expected.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any, Final

import asyncpg
import msgspec
import nats.errors

from bus import subjects
from bus.connection import Bus
from bus.errors import CerebroError
from bus.log import bounds, entries
from schemas.consensus import Decision, Proposal, ProposalView
from schemas.entry import Entry, Malformed
from schemas.learning import Lesson
from schemas.members import Ask, MembershipChange
from schemas.tasks import Finished, Result, Submission, TaskDetail
from tests.faults.load import ACTION, AGENTS, Load
from tests.faults.verdict import Verdict
from tests.fuzz import watch
from tests.integration.launched import Up
from tests.simulation.oracle import Broken, Oracle

DRAIN_S: Final = 120.0
"""Within this everything has ended after the faults: a task waits 60 s for an agent that is gone."""
LATE_S: Final = 60.0
"""An expired task has ended so long after its time: nobody writes anything while the faults last."""
AFTER_S: Final = 1.5
"""How long all must have ended: what is done twice shows by then."""
LOOK_S: Final = 0.5
READ_S: Final = 300.0
"""Longest time to read the log, or a table."""
ASKED: Final = 24
SAMPLE: Final = 20
"""Of how many proposals, and tasks, the replicas are asked: the latest."""
ROWS: Final = "SELECT episode_id, stream_seq, agent_id, action_type, action_details->>'text' AS text FROM memory_system.episodes"
LOG_SIGNS_OF_SERVERS: Final = ("postgres.log",)
"""Logs of servers that tell of a fault in the words of one: FATAL is how PostgreSQL refuses while it recovers."""


class Row(msgspec.Struct, frozen=True):
    """A row of episodes, as far as it is looked at."""

    episode_id: str
    stream_seq: int
    agent_id: str
    action_type: str
    text: str | None


def skills() -> dict[str, list[str]]:
    """What each of the three can do, as its profile's file says."""
    profiles = [msgspec.json.decode(p.read_bytes()) for p in files("agents.profiles").iterdir() if p.name.endswith(".json")]
    return {profile["name"]: profile["primary_functions"] for profile in profiles}


class Ledger:
    """The log as it was read so far, and what is wrong with it. `take` the entries in their order."""

    def __init__(self, *, ids_kept: bool = True, late_s: float = LATE_S) -> None:
        self.skills = skills()
        self.oracle = Oracle(self.skills, ids_kept=ids_kept, late_s_max=late_s, faded_max=2.0)
        self.entries: list[Entry] = []
        self.malformed: list[Malformed] = []
        self.broken: list[str] = []
        self.seq = 0

    def take(self, read: Sequence[Entry | Malformed]) -> None:
        for entry in read:
            self.seq = entry.seq
            if isinstance(entry, Malformed):
                self.malformed.append(entry)
                continue
            self.entries.append(entry)
            if isinstance(entry.body, MembershipChange) and entry.body.profile is not None:
                self.skills.setdefault(entry.agent, entry.body.profile.skill_names())
            try:
                self.oracle.take(entry)
            except Broken as e:
                self.broken.append(f"entry {entry.seq}: {e}")

    def of(self, body: type) -> list[Entry]:
        """The entries with this body."""
        return [entry for entry in self.entries if type(entry.body) is body]


def judge_log(verdict: Verdict, ledger: Ledger, load: Load) -> None:
    """What the log alone says."""
    acknowledged = load.acknowledged
    verdict.find("promises are broken in the log", ledger.broken)
    texts = {e.event_id: e.body.action_details.get("text") for e in ledger.entries if e.name == subjects.EPISODE.name}
    proposals = {e.tokens["proposal"] for e in ledger.of(Proposal)}
    tasks = {e.tokens["task"] for e in ledger.of(Submission)}
    lessons = {e.event_id for e in ledger.of(Lesson)}
    causes = {e.body.cause for e in ledger.entries if e.name == subjects.STIMULUS.name}
    for what, said, there in (
        ("episodes", acknowledged.episodes, texts),
        ("proposals", acknowledged.proposals, proposals),
        ("tasks", acknowledged.tasks, tasks),
        ("lessons", acknowledged.lessons, lessons),
        ("stimuli", acknowledged.stimuli, causes),
    ):
        verdict.find(f"acknowledged {what} are not in the log", [i for i in said if i not in there], lost=True)
    verdict.find("episodes have another text in the log", [i for i, t in acknowledged.episodes.items() if texts.get(i, t) != t])
    ours = [e for e in ledger.entries if e.name == subjects.EPISODE.name and e.body.action_type == ACTION]
    verdict.find("events stand more than once in the log", again((e.event_id, e.event_id) for e in ours), doubled=True)
    verdict.find("texts stand more than once in the log", again((texts[e.event_id], e.event_id) for e in ours), doubled=True)
    verdict.find("malformed entries that nobody put there", [m.subject for m in ledger.malformed if m.data not in load.poison])


def judge_effects(verdict: Verdict, ledger: Ledger, load: Load) -> None:
    """What tasks did, in the world outside and in the log."""
    done = Counter(load.effects)
    verdict.find(
        "effects happened more than once under one fence in one life", [key for key, times in done.items() if times > 1], doubled=True
    )
    results = Counter((e.tokens["task"], e.body.fence) for e in ledger.of(Result))
    verdict.find("results stand more than once under one fence", [key for key, times in results.items() if times > 1], doubled=True)
    ends = {e.tokens["task"]: e.body for e in ledger.of(Finished)}
    claimed = {i: end.output["effect"] for i, end in ends.items() if end.status == "succeeded" and end.agent == load.hand}
    false = [i for i, at in claimed.items() if not 0 < at <= len(load.effects) or load.effects[at - 1][0] != i]
    verdict.find("tasks ended with an effect that was not theirs", false)
    repeated = len(done) - len({task for task, _, _ in done})
    verdict.figures |= {"effects": len(load.effects), "effects begun again under a later fence or in a later life": repeated}


def judge_rows(verdict: Verdict, ledger: Ledger, load: Load, rows: Sequence[Row], first_seq: int) -> None:
    """What PostgreSQL says, against the log as far as it was read, which holds everything from `first_seq` on."""
    known = {row.episode_id: row for row in rows}
    verdict.find("events have more than one row", again((r.episode_id, r.episode_id) for r in rows), doubled=True)
    acknowledged = load.acknowledged.episodes
    verdict.find("acknowledged episodes have no row", [i for i in acknowledged if i not in known], lost=True)
    verdict.find("rows have another text", [i for i, text in acknowledged.items() if i in known and known[i].text != text])
    stands = {entry.event_id: entry for entry in ledger.entries}
    rowless = [f"{e.subject} at {e.seq}" for i, e in stands.items() if i not in known and i not in acknowledged]
    verdict.find("entries of the log have no row", rowless, lost=True)
    strange = [r.episode_id for r in known.values() if r.episode_id not in stands and first_seq <= r.stream_seq <= ledger.seq]
    verdict.find("rows stand for no entry of the log", strange, doubled=True)
    verdict.find("texts have more than one row", again((r.text, r.episode_id) for r in rows if r.action_type == ACTION), doubled=True)
    verdict.find("places of the log have more than one row", again((r.stream_seq, r.episode_id) for r in rows), doubled=True)


def again(said: Iterable[tuple[Any, str]]) -> list[str]:
    """The ids of what bears a key that another bore before."""
    seen: set[Any] = set()
    found = []
    for key, ident in said:
        if key in seen:
            found.append(ident)
        seen.add(key)
    return found


class Judge:
    """Of one load in one mesh. It may look several times, and reads of the log only what is new."""

    def __init__(self, up: Up, load: Load, *, ids_kept: bool = True, late_s: float = LATE_S) -> None:
        self.ledger = Ledger(ids_kept=ids_kept, late_s=late_s)
        self._up = up
        self._load = load

    async def verdict(self, drain_s: float = DRAIN_S) -> Verdict:
        """Wait until everything has ended, at most `drain_s`, and look at all of it."""
        verdict, load = Verdict(), self._load
        bus = await Bus.connect(self._up.bus_settings(), "operator", 30.0)
        try:
            async with load.hands():
                began = time.monotonic()
                left = await self._drained(bus, began + drain_s)
                verdict.drained_s = time.monotonic() - began - AFTER_S
                verdict.find(f"things have not ended within {drain_s:g} s", left)
            judge_log(verdict, self.ledger, load)
            judge_effects(verdict, self.ledger, load)
            judge_rows(verdict, self.ledger, load, await self._rows(), (await bounds(bus))[0])
            await self._replicas(verdict, bus)
            verdict.find("malformed entries have no dead letter", await watch.unburied(bus, {m.seq for m in self.ledger.malformed}))
        finally:
            await bus.close()
        self._machines(verdict)
        verdict.find("answers that no fault excuses", load.unexpected)
        verdict.acknowledged, verdict.refused, verdict.unknown = load.acknowledged.total(), load.refused.total(), load.unknown
        return verdict

    async def _read(self, bus: Bus) -> None:
        self.ledger.take(await entries(bus, (), self.ledger.seq, timeout_s=READ_S))

    async def _drained(self, bus: Bus, deadline: float) -> list[str]:
        """What is left at `deadline`; nothing, once there was nothing left for `AFTER_S`. What was read then has its row."""
        empty_since: float | None = None
        left = ["not looked at yet"]
        while time.monotonic() < deadline and (empty_since is None or time.monotonic() - empty_since < AFTER_S):
            try:
                left = await self._left(bus)
            except (CerebroError, nats.errors.Error, OSError) as e:
                left = [f"{type(e).__name__}: {e}"]
            empty_since = None if left else empty_since or time.monotonic()
            await asyncio.sleep(LOOK_S)
        return left

    async def _left(self, bus: Bus) -> list[str]:
        await self._read(bus)
        waiting = [await watch.persister(bus), *await watch.consumers(bus, subjects.MESH)]
        living = await present(bus)
        absent = [f"{agent} is away" for agent in AGENTS if not any(a == agent for a, _ in living)]
        left = [f"{c.left} wait for consumer {c.name}" for c in waiting if c.left]
        return absent + left + self.ledger.oracle.open_ends(living)

    async def _rows(self) -> list[Row]:
        connection = await asyncpg.connect(self._up.run.postgres)
        try:
            return [Row(*record) for record in await connection.fetch(ROWS, timeout=READ_S)]
        finally:
            await connection.close()

    async def _replicas(self, verdict: Verdict, bus: Bus) -> None:
        """Everyone's own fold of the latest proposals and tasks, against what the log says."""
        decided = {e.tokens["proposal"]: e.body for e in self.ledger.of(Decision)}
        ended = {e.tokens["task"]: e.body for e in self.ledger.of(Finished)}
        differ: list[str] = []
        for ident, decision in list(decided.items())[-SAMPLE:]:
            if self.ledger.oracle.polls[ident].opened is not None:
                differ += [f"{ident}: {told}" for told in await _asked(bus, subjects.ASK_PROPOSAL, ident) if not _same(told, decision)]
        for ident, end in list(ended.items())[-SAMPLE:]:
            differ += [f"{ident}: {told}" for told in await _asked(bus, subjects.ASK_TASK, ident) if not _same_end(told, end)]
        verdict.find("answers of replicas are not what the log says", differ)

    def _machines(self, verdict: Verdict) -> None:
        run, load = self._up.run, self._load
        verdict.find("processes were given up", run.quarantined)
        verdict.find("processes have grown", load.processes.grown())
        verdict.find("logs hold what nobody expected", [f for f in load.logs.faults() if not f.startswith(LOG_SIGNS_OF_SERVERS)])
        verdict.figures["resident MiB"] = {name: rss // 2**20 for name, rss in sorted(load.processes.rss().items())}


async def present(bus: Bus) -> set[tuple[str, str]]:
    """Who says that it lives: agent and instance."""
    bucket = await bus.kv("presence")
    try:
        keys = await bucket.keys()
    except nats.js.errors.NoKeysError:
        return set()
    return {(agent, instance) for agent, _, instance in (key.partition(".") for key in keys)}


async def _asked(bus: Bus, row: subjects.Subject, ident: str) -> list[Any]:
    return await asyncio.gather(*(bus.ask(row, Ask(id=ident), timeout_s=20.0) for _ in range(ASKED)))


def _same(told: ProposalView, decision: Decision) -> bool:
    counted = [(v.agent, v.choice, v.seq) for v in told.votes if v.counted]
    votes = [(v.agent, v.choice, v.seq) for v in decision.votes if v.counted]
    same = (told.status, told.choice, told.tally, told.decided_at_seq, counted)
    return same == (decision.status, decision.choice, decision.tally, decision.decided_at_seq, votes)


def _same_end(told: TaskDetail, end: Finished) -> bool:
    return (told.status, told.result, told.error) == (end.status, end.output, end.error)


async def judged(up: Up, load: Load, drain_s: float = DRAIN_S, *, ids_kept: bool = True, late_s: float = LATE_S) -> Verdict:
    """Everything, once. `ids_kept`: the faults were shorter than the log's duplicate window; `late_s`: they lasted no longer at a time."""
    return await Judge(up, load, ids_kept=ids_kept, late_s=late_s).verdict(drain_s)
