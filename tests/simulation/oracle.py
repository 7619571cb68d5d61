"""What must hold, recounted from the log alone and without any of the rules under test.

`take` is called after each entry and raises `Broken` at the first that must not be; `open_ends` says what has not ended yet.
"""

from datetime import timedelta
from typing import Any

import msgspec

from bus.ids import affect_answer_id
from schemas.consensus import Decision, Opened, Proposal
from schemas.entry import Entry, Malformed
from schemas.learning import Integrated, Lesson, LessonsRefused
from schemas.members import MembershipChange
from schemas.tasks import Assignment, Cancel, Failure, Finished, Progress, Result, Split, Submission
from tests.simulation.scenario import POISON

SKEW_S_MAX = 4.0
"""How much a local clock may be wrong: a task may expire so much too early, and no more."""
ATTEMPTS_MAX = 3
STEP_MAX = 0.64
"""The furthest that a stimulus moves a coordinate at intensity 1: a threat."""
FADED_MAX = 0.1
"""How far a coordinate may fade within a short run."""


LATE_S_MAX = 20.0
"""An expired task has ended so long after its time, the bad times included."""
NO_SUCH_SKILL = "no_such_skill"
ENDS_WITHOUT_WORK = ("lease_lost", NO_SUCH_SKILL)
"""How a task may fail that nobody has failed."""
KNOWN_S = 10.0
"""Whoever joined so long ago is known to everyone."""
GONE_S = 50.0
"""Whoever has not been gone for so long is waited for: a minute, less what clocks and readers may be behind."""


class Broken(AssertionError):
    """A promise does not hold."""


def demand(holds: object, what: str) -> None:
    if not holds:
        raise Broken(what)


def _point(entry: Entry) -> tuple[float, float, float]:
    return entry.body.valence, entry.body.arousal, entry.body.dominance


class Poll(msgspec.Struct):
    """One proposal as the log tells it."""

    proposal: Proposal | None = None
    opened: Opened | None = None
    first: dict[str, str] = {}
    votes: list[tuple[str, str, int, bool]] = []
    due: tuple[str, str | None, int] | None = None
    tally: dict[str, int] = {}
    decided: bool = False


class Job(msgspec.Struct):
    """One task as the log tells it."""

    task: Submission
    deadline: Any
    fence: int = 0
    holder: str | None = None
    begun: bool = False
    backoff_s: float = 0.0
    again_at: Any = None
    split: bool = False
    failures: int = 0
    outcome: Finished | None = None
    finished: Finished | None = None


class Oracle:
    """`skills_of`: what each agent can do that is looked at. `ids_kept`: whether message ids are remembered for the whole run.

    `late_s_max`: how long after its time an expired task has ended at the latest. `faded_max`: how far a coordinate fades between two
    entries of one affect.
    """

    def __init__(
        self, skills_of: dict[str, list[str]], *, ids_kept: bool, late_s_max: float = LATE_S_MAX, faded_max: float = FADED_MAX
    ) -> None:
        self._skills_of = skills_of
        self._ids_kept = ids_kept
        self._late_s_max = late_s_max
        self._faded_max = faded_max
        self.polls: dict[str, Poll] = {}
        self.jobs: dict[str, Job] = {}
        self.outcomes: dict[str, list[int]] = {}
        self.lessons: dict[str, Entry] = {}
        self.refused: set[str] = set()
        self.receipts: dict[tuple[str, str], int] = {}
        self.members: dict[tuple[str, str], str] = {}
        self.joined: dict[str, Any] = {}
        self.changed: dict[str, Any] = {}
        self.stimuli: dict[str, str] = {}
        self.intensities: dict[str, float] = {}
        self.affects: dict[str, Entry] = {}
        self.answers: dict[str, int] = {}

    def take(self, entry: Entry | Malformed) -> None:
        """One more entry of the log."""
        if isinstance(entry, Malformed):
            demand(entry.data == POISON, f"nobody of ours writes what is malformed: {entry}")
            return
        match entry.name.partition(".")[0]:
            case "consensus":
                self._consensus(entry, self.polls.setdefault(entry.tokens["proposal"], Poll()))
            case "task":
                self._task(entry)
            case "lesson":
                self._lesson(entry)
            case "member":
                self._member(entry)
            case "emotion":
                self._emotion(entry)

    # consensus

    def _consensus(self, entry: Entry, poll: Poll) -> None:
        body = entry.body
        if isinstance(body, Opened):
            demand(poll.opened is None, f"{entry.subject} is opened twice")
            demand(not poll.decided, f"{entry.subject} is opened after it was refused")
            poll.opened = body
            self._certain(poll, entry.seq)
        elif isinstance(body, Proposal):
            poll.proposal = poll.proposal or body
        elif entry.name == "consensus.vote":
            self._vote(entry, poll)
        elif entry.name == "consensus.deadline" and poll.opened and poll.due is None:
            self._decide(poll, "expired", None, entry.seq)
        elif isinstance(body, Decision):
            self._decision(entry, poll)

    def _vote(self, entry: Entry, poll: Poll) -> None:
        if poll.due is not None:
            return
        opened, choice = poll.opened, entry.body.choice
        counts = False
        if opened is not None and entry.agent in (opened.electorate or []) and entry.agent not in poll.first:
            counts = choice in {*opened.options, "abstain"}
        if counts:
            poll.first[entry.agent] = choice
        poll.votes.append((entry.agent, choice, entry.seq, counts))
        if counts:
            self._certain(poll, entry.seq)

    def _certain(self, poll: Poll, seq: int) -> None:
        opened = poll.opened
        assert opened is not None
        a, b = (int(x) for x in opened.threshold.split("/"))
        size, voices = len(opened.electorate or []), list(poll.first.values())
        hope = False
        for option in opened.options:
            if option == "reject":
                continue
            agreed = all(poll.first.get(r) == option for r in opened.required_approvers)
            free = all(poll.first.get(r, option) == option for r in opened.required_approvers)
            if agreed and voices.count(option) * b >= a * size:
                self._decide(poll, "accepted", option, seq)
                return
            hope = hope or (free and (voices.count(option) + size - len(voices)) * b >= a * size)
        if not hope:
            self._decide(poll, "rejected", "reject" if voices.count("reject") * b >= a * size else None, seq)

    def _decide(self, poll: Poll, status: str, choice: str | None, seq: int) -> None:
        assert poll.opened is not None
        voices = list(poll.first.values())
        poll.due = status, choice, seq
        poll.tally = {o: voices.count(o) for o in (*poll.opened.options, "abstain")}
        poll.tally["absent"] = len(poll.opened.electorate or []) - len(voices)

    def _decision(self, entry: Entry, poll: Poll) -> None:
        body: Decision = entry.body
        demand(not poll.decided, f"{entry.subject} is decided twice")
        poll.decided = True
        if poll.opened is None:
            demand(body.status == "rejected" and not body.votes and not body.tally, f"{entry.subject}: decided before it was opened")
            return
        demand(poll.due is not None, f"{entry.subject}: decided as {body.status} while nothing was certain")
        told = body.status, body.choice, body.decided_at_seq
        demand(told == poll.due, f"{entry.subject}: decided {told}, the log says {poll.due}")
        demand(body.tally == poll.tally, f"{entry.subject}: tally {body.tally}, the log says {poll.tally}")
        votes = [(v.agent, v.choice, v.seq, v.counted) for v in body.votes]
        demand(votes == poll.votes, f"{entry.subject}: votes {votes}, the log says {poll.votes}")

    # tasks

    def _task(self, entry: Entry) -> None:
        job, body = self.jobs.get(entry.tokens["task"]), entry.body
        if job is None:
            if isinstance(body, Submission):
                self.jobs[entry.tokens["task"]] = Job(body, entry.time + timedelta(seconds=body.timeout_s))
            return
        if isinstance(body, Finished):
            self._finished(entry, job)
        elif job.finished or job.outcome:
            return
        elif isinstance(body, Assignment):
            self._assigned(entry, job)
        elif isinstance(body, Split):
            self._split(entry, job)
        elif isinstance(body, Cancel):
            job.outcome = Finished(status="cancelled")
        elif isinstance(body, Progress):
            job.begun = job.begun or (body.fence, entry.agent) == (job.fence, job.holder)
        elif isinstance(body, Result | Failure) and (body.fence, entry.agent) == (job.fence, job.holder):
            self._ended(entry, job)

    def _assigned(self, entry: Entry, job: Job) -> None:
        demand(not job.task.subtasks, f"{entry.subject}: a composite task is assigned")
        demand(entry.body.fence == job.fence + 1, f"{entry.subject}: fence {entry.body.fence} after {job.fence}")
        able = set(job.task.required_skills) <= set(self._skills_of.get(entry.agent, []))
        demand(able, f"{entry.subject}: assigned to who cannot do it")
        stolen = entry.body.stolen_from
        demand(stolen is None or (stolen == job.holder and not job.begun), f"{entry.subject}: stolen, but {job.holder} has begun it")
        early = job.again_at is not None and entry.time < job.again_at - timedelta(seconds=SKEW_S_MAX)
        demand(not early, f"{entry.subject}: tried again before its pause is over")
        job.fence, job.holder, job.begun, job.backoff_s, job.again_at = entry.body.fence, entry.agent, False, entry.body.backoff_s, None

    def _split(self, entry: Entry, job: Job) -> None:
        demand(not job.task.subtasks, f"{entry.subject}: it has parts already")
        needed = job.task.required_skills
        alone = [agent for agent, skills in self._skills_of.items() if set(needed) <= set(skills)]
        demand(not alone, f"{entry.subject}: split, though {alone} could do it alone")
        made = [skill for part in entry.body.subtasks for skill in part.required_skills]
        demand(sorted(made) == sorted(needed), f"{entry.subject}: the parts are for {made}, required are {needed}")
        job.task = msgspec.structs.replace(job.task, subtasks=entry.body.subtasks)
        job.holder, job.split = None, True

    def _ended(self, entry: Entry, job: Job) -> None:
        body = entry.body
        self.outcomes.setdefault(entry.agent, [0, 0])[isinstance(body, Failure)] += 1
        if isinstance(body, Result):
            job.outcome = Finished(status="succeeded", agent=entry.agent, output=body.output)
            return
        job.failures, job.holder = job.failures + 1, None
        job.again_at = entry.time + timedelta(seconds=job.backoff_s)
        if not body.error.retryable or job.failures >= ATTEMPTS_MAX:
            job.outcome = Finished(status="failed", agent=entry.agent, error=body.error)

    def _finished(self, entry: Entry, job: Job) -> None:
        body: Finished = entry.body
        demand(job.finished is None, f"{entry.subject} is finished twice")
        job.finished = body
        in_time = entry.time - job.deadline <= timedelta(seconds=self._late_s_max)
        demand(in_time, f"{entry.subject}: finished as {body.status} long after its time")
        if job.outcome is not None:
            same = (body.status, body.agent, body.output) == (job.outcome.status, job.outcome.agent, job.outcome.output)
            demand(same or job.task.subtasks, f"{entry.subject}: finished as {body}, the log says {job.outcome}")
            return
        known = body.status != "failed" or job.task.subtasks or (body.error and body.error.code in ENDS_WITHOUT_WORK)
        demand(known, f"{entry.subject}: failed without a failure that counts")
        if body.error and body.error.code == NO_SUCH_SKILL and not job.task.subtasks:
            demand(not (there := self._able(job.task, entry.time)), f"{entry.subject}: failed as if nobody could, but {there} can")
        early = job.deadline - entry.time > timedelta(seconds=SKEW_S_MAX)
        demand(not (body.status == "expired" and early), f"{entry.subject}: expired before its time")
        parts = [j for j in self.jobs.values() if j.task.parent == entry.tokens["task"]]
        if body.status == "succeeded":
            outputs = [p.finished.output for p in parts if p.finished and p.finished.status == "succeeded"]
            whole = job.task.subtasks and len(outputs) == len(job.task.subtasks) and all(o in body.output.values() for o in outputs)
            demand(whole, f"{entry.subject}: succeeded without a result that counts")
            by_skill = not job.split or list(body.output) == job.task.required_skills
            demand(by_skill, f"{entry.subject}: its output is not by skill")
        if body.status == "cancelled":
            parent = self.jobs.get(job.task.parent or "")
            demand(parent and parent.finished, f"{entry.subject}: cancelled by nobody")

    def _able(self, task: Submission, now: Any) -> list[str]:
        """Who has all the skills and is a member, or has not been gone for long."""
        able = [agent for agent, skills in self._skills_of.items() if set(task.required_skills) <= set(skills) and agent in self.joined]
        known = [agent for agent in able if now - self.joined[agent] > timedelta(seconds=KNOWN_S)]
        there = {agent for (agent, _), status in self.members.items() if status == "joined"}
        return [agent for agent in known if agent in there or now - self.changed[agent] < timedelta(seconds=GONE_S)]

    # lessons, members, affect

    def _lesson(self, entry: Entry) -> None:
        if isinstance(entry.body, Lesson):
            demand(entry.event_id not in self.lessons or not self._ids_kept, f"lesson {entry.event_id} stands twice")
            self.lessons.setdefault(entry.event_id, entry)
        elif isinstance(entry.body, LessonsRefused):
            self.refused.update(entry.body.lesson_ids)
        elif isinstance(entry.body, Integrated) and entry.agent in self._skills_of:
            key = entry.body.lesson_id, entry.agent
            self.receipts[key] = self.receipts.get(key, 0) + 1
            demand(self.receipts[key] == 1 or not self._ids_kept, f"{entry.agent} integrated {key[0]} twice")

    def _member(self, entry: Entry) -> None:
        change: MembershipChange = entry.body
        key = entry.agent, change.instance
        there = self.members.get(key) == "joined"
        demand(there != (change.status == "joined"), f"{change.instance} {change.status} is logged twice")
        self.members[key] = change.status
        self.joined.setdefault(entry.agent, entry.time)
        self.changed[entry.agent] = entry.time

    def _emotion(self, entry: Entry) -> None:
        if entry.name == "emotion.stimulus":
            self.stimuli[affect_answer_id(entry.agent, entry.event_id, entry.seq)] = entry.agent
            self.intensities[affect_answer_id(entry.agent, entry.event_id, entry.seq)] = entry.body.intensity
            return
        before, self.affects[entry.agent] = self.affects.get(entry.agent), entry
        if before is not None and (intensity := self.intensities.get(entry.event_id)) is not None:
            moved = max(abs(x - y) for x, y in zip(_point(entry), _point(before), strict=True))
            bounded = moved <= intensity * STEP_MAX + self._faded_max or not self._ids_kept  # an old state sent again stands last
            demand(bounded, f"{entry.agent} is moved by {moved:.2f} at intensity {intensity:.2f}")
        self.answers[entry.event_id] = self.answers.get(entry.event_id, 0) + 1
        demand(self.answers[entry.event_id] == 1 or not self._ids_kept, f"{entry.agent} answered {entry.event_id} twice")

    # liveness

    def open_ends(self, living: set[tuple[str, str]]) -> list[str]:
        """What has not ended yet."""
        agents = {agent for agent, _ in living}
        lessons = {i: e for i, e in self.lessons.items() if i not in self.refused}
        ends = [f"proposal {i} is undecided" for i, p in self.polls.items() if p.proposal and not p.decided]
        ends += [f"task {i} is not finished" for i, j in self.jobs.items() if not j.finished]
        ends += [f"{a} has not integrated {i}" for i, e in lessons.items() for a in agents - {e.agent} if (i, a) not in self.receipts]
        ends += [f"{agent} has not answered {i}" for i, agent in self.stimuli.items() if i not in self.answers and agent in agents]
        ends += [f"{instance} has not joined" for key in living for instance in [key[1]] if self.members.get(key) != "joined"]
        ends += [f"{key[1]} is still a member" for key, status in self.members.items() if status == "joined" and key not in living]
        return ends
