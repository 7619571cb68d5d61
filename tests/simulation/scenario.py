"""What the world outside does to the mesh: proposals, votes by hand, tasks, lessons, stimuli. All drawn from one source of chance."""

import random
from typing import Any

import msgspec

from bus import subjects
from bus.subjects import Subject
from schemas.consensus import Attributes, Proposal, Vote
from schemas.emotion import Stimulus
from schemas.learning import Integrated, Lesson
from schemas.tasks import Cancel, Result, Submission, Subtask
from tests.simulation.node import AGENTS

KINDS = ("consensus", "tasks", "learning", "emotion", "all")
"""What a scenario is about; `all` mixes the four."""
OUTSIDERS = ("one", "two", "mallory")
EVENTS = ("praise", "blame", "threat", "relief", "error")


HANGS_S = 1_000.0
"""Work that takes so long does not end by itself."""
POISON = b'{"choice": 7, "fence": "one", '
"""A body that is none."""


class Saying(msgspec.Struct, frozen=True):
    """Something said at a moment by somebody outside, under an id of its own."""

    at_s: float
    row: Subject
    body: Any
    msg_id: str
    tokens: dict[str, str]


class Script:
    """Draws the sayings of one scenario; `hostile_s` is how long the bad times last."""

    def __init__(self, rng: random.Random, hostile_s: float) -> None:
        self._rng = rng
        self._hostile_s = hostile_s
        self.sayings: list[Saying] = []

    def write(self, kind: str) -> list[Saying]:
        """The sayings of a scenario of this kind."""
        if self._maybe(0.1):
            self._say(self._when(), subjects.MEMBER, POISON, agent=self._rng.choice(AGENTS))
        for each in KINDS[:-1]:
            if kind in (each, "all"):
                getattr(self, f"_{each}")()
        return self.sayings

    def _say(self, at_s: float, row: Subject, body: Any, **tokens: str) -> None:
        self.sayings.append(Saying(at_s, row, body, f"said-{len(self.sayings)}", tokens))

    def _when(self) -> float:
        return self._rng.uniform(0, self._hostile_s)

    def _maybe(self, share: float) -> bool:
        return self._rng.random() < share

    def _consensus(self) -> None:
        for i in range(self._rng.randint(1, 2)):
            self._poll(f"p{i}")

    def _poll(self, ident: str) -> None:
        rng, at_s = self._rng, self._when()
        electorate = rng.choice([None, list(AGENTS), [*AGENTS, "one"], ["one", "two", *AGENTS], ["aria", "one", "two"]])
        options = rng.choice([["approve", "reject"], ["x", "y"], ["x", "y", "reject"]])
        proposal = Proposal(
            title=f"Shall we do {ident}",
            options=options,
            attributes=rng.choice([None, GOOD, GOOD, BAD]),
            electorate=electorate,
            required_approvers=[rng.choice(electorate or [*AGENTS, "ghost"])] if self._maybe(0.4) else [],
            threshold=rng.choice(["2/3", "2/3", "3/4", "1/1"]),
            timeout_s=rng.uniform(0.5, 4.0),
        )
        self._say(at_s, subjects.PROPOSAL, proposal, proposal=ident, agent="gateway")
        for _ in range(rng.randint(0, 8)):
            voter = rng.choice(OUTSIDERS if self._maybe(0.85) else AGENTS)
            choice = rng.choice([*options, *options, "abstain", "nonsense"])
            cast_s = at_s + rng.uniform(0.05, proposal.timeout_s + 1.0)
            self._say(cast_s, subjects.VOTE, POISON if self._maybe(0.05) else Vote(choice=choice), proposal=ident, agent=voter)
        if self._maybe(0.1):  # the same id again, by somebody else
            again = msgspec.structs.replace(proposal, title="Another one", timeout_s=9.0)
            self._say(at_s + rng.uniform(-0.2, 2.0), subjects.PROPOSAL, again, proposal=ident, agent="mallory")
        if self._maybe(0.1):  # before what the mesh says there
            row = rng.choice([subjects.OPENED, subjects.DECISION, subjects.DEADLINE])
            self._say(at_s + rng.uniform(-0.5, 1.0), row, POISON, proposal=ident)

    def _tasks(self) -> None:
        for i in range(self._rng.randint(1, 3)):
            at_s, ident = self._when(), f"t{i}"
            task = self._task(ident)
            self._say(at_s, subjects.TASK_SUBMITTED, task, task=ident)
            if self._maybe(0.25):
                cancel_s = at_s + min(3.0, task.input["takes_s"]) + self._rng.uniform(0, 1.5)
                self._say(cancel_s, subjects.TASK_CANCEL, Cancel(), task=ident, agent="gateway")
            self._meddle(ident, at_s)

    def _meddle(self, ident: str, at_s: float) -> None:
        """What is no business of who says it: a result of who has not got the task, poison, the same id again."""
        rng = self._rng
        for _ in range(rng.choice([0, 0, 1, 3])):
            body = POISON if self._maybe(0.3) else Result(fence=rng.randint(1, 3), output="forged")
            self._say(at_s + rng.uniform(0.1, 4.0), subjects.TASK_RESULT, body, task=ident, agent="mallory")
        if self._maybe(0.1):
            self._say(at_s + rng.uniform(0, 2.0), subjects.TASK_SUBMITTED, Submission(title="Another one"), task=ident)
        if self._maybe(0.1):
            self._say(at_s + rng.uniform(-0.5, 2.0), subjects.TASK_ASSIGNED, POISON, task=ident, agent=rng.choice(AGENTS))
        if self._maybe(0.1):
            self._say(at_s + rng.uniform(-0.5, 2.0), subjects.TASK_FINISHED, POISON, task=ident)

    def _task(self, ident: str) -> Submission:
        rng = self._rng
        short = self._maybe(0.25)
        takes_s = rng.choice([0.1, 0.5, 2.0, 30.0 if short else 2.0]) if self._maybe(0.9) else HANGS_S
        given = {"takes_s": takes_s, "fails": rng.choice([0.0, 0.0, 0.4, 1.0])}
        skills = rng.choice([["work"], ["work"], ["work"], ["rare"], ["work", "rare"], ["rare", "fine"], ["nobody_has_it"]])
        timeout_s = rng.uniform(1.0, 4.0) if short else 600.0
        parts = []
        if self._maybe(0.2):
            parts = [Subtask(id="a", title="part a", required_skills=["work"], input={"takes_s": 0.2, "fails": 0.0})]
            parts.append(msgspec.structs.replace(parts[0], id="b", title="part b", depends_on=["a"] if self._maybe(0.5) else []))
        return Submission(title=f"Do {ident}", required_skills=skills, input=given, timeout_s=timeout_s, subtasks=parts)

    def _learning(self) -> None:
        for i in range(self._rng.randint(1, 4)):
            at_s, lesson = self._when(), Lesson(topic=f"l{i}", content=f"what was learnt in {i}")
            self._say(at_s, subjects.LESSON, lesson, agent=self._rng.choice([*AGENTS, "one"]))
            receipt = Integrated(lesson_id=self.sayings[-1].msg_id if self._maybe(0.7) else "unheard-of")
            self._say(at_s + self._rng.uniform(-0.5, 2), subjects.INTEGRATED, receipt, agent="two")

    def _emotion(self) -> None:
        for _ in range(self._rng.randint(1, 6)):
            stimulus = Stimulus(event=self._rng.choice(EVENTS), intensity=self._rng.random(), cause="simulated")
            self._say(self._when(), subjects.STIMULUS, stimulus, agent=self._rng.choice(AGENTS))


GOOD = Attributes(benefit=0.9, cost=0.1, risk=0.1, urgency=0.5, reversible=True)
BAD = Attributes(benefit=0.1, cost=0.9, risk=0.9, urgency=0.1, reversible=False)
