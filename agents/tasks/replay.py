"""A recorded log looked at again with other weights: which assignments would have gone to somebody else. Pure.

An assignment carries the parts of the score of everyone who could have had it, so each is scored again exactly, with the law that
chose then. Each is judged for itself: that another choice would have changed loads, affects and success afterwards is left out. What
somebody else would have made of a task nobody knows; it is estimated by what the whole log says of that agent's work.
"""

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from agents.tasks import matching, rules
from agents.tasks.book import Book
from agents.tasks.matching import DIGITS, SCORES_LEN_MAX, Weights
from agents.tasks.rules import TaskState
from schemas.entry import Entry
from schemas.tasks import Assignment, Score, Submission

ENDED_KEPT_MAX = 100_000
"""Most ended tasks held while a log is replayed; what comes about an older one is passed over."""


class Option(msgspec.Struct, frozen=True):
    """An agent that could have had the task: its score as recorded, its score by the changed weights, and the expected rate of success."""

    agent: str
    recorded: float
    changed: float
    expected: float


class Judged(msgspec.Struct, frozen=True):
    """One recorded assignment. `was` got it, `would` get it now. `succeeded`: what came of it, None where nothing that counts did."""

    task_id: str
    title: str
    seq: int
    fence: int
    was: Option
    would: Option
    succeeded: bool | None
    cut: bool
    """Whether there were more candidates than an assignment carries."""

    @property
    def differs(self) -> bool:
        return self.was.agent != self.would.agent


class Report(msgspec.Struct, frozen=True):
    """All assignments of a log. `unscored`: those without scores, which nobody can judge again."""

    judged: list[Judged]
    unscored: int

    @property
    def different(self) -> list[Judged]:
        return [j for j in self.judged if j.differs]

    def expected(self, option: str) -> float:
        """How many assignments are expected to succeed with this option (`was` or `would`) of each."""
        options: list[Option] = [getattr(j, option) for j in self.judged]
        return sum(o.expected for o in options)


class _Recorded(msgspec.Struct):
    """An assignment that counted when it was read."""

    entry: Entry
    task: Submission
    tried: frozenset[str]
    succeeded: bool | None = None


def replay(entries: Iterable[Entry], weights: Weights, half_life_s: float) -> Report:
    """Judge every assignment that counted, by `weights`. `half_life_s`: of the success rates, for what is expected."""
    book, recorded = Book(ENDED_KEPT_MAX, half_life_s), dict[tuple[str, int], _Recorded]()
    for entry in entries:
        before = book.get(entry.tokens.get("task", ""))
        book.apply(entry)
        if before is not None:
            _note(recorded, entry, before, book.get(before.task_id))
    scored = [r for r in recorded.values() if r.entry.body.scores]
    return Report([_judged(r, weights, book) for r in scored], unscored=len(recorded) - len(scored))


def _note(recorded: dict[tuple[str, int], _Recorded], entry: Entry, before: TaskState, after: TaskState | None) -> None:
    """Take down an assignment that counts, and what came of it."""
    if after is None:
        return
    if isinstance(entry.body, Assignment) and after.fence > before.fence:
        tried = frozenset[str]() if entry.body.stolen_from else before.avoided
        recorded[before.task_id, after.fence] = _Recorded(entry, before.task, tried)
    elif (credit := rules.credit(before, after)) and (known := recorded.get((before.task_id, before.fence))):
        known.succeeded = credit.success


def _judged(recorded: _Recorded, weights: Weights, book: Book) -> Judged:
    entry, body = recorded.entry, recorded.entry.body
    again = [replace(s, score=round(matching.score(s.why, weights), DIGITS)) for s in body.scores]
    would = matching.first(matching.ranking(again), recorded.tried).agent
    options = {was.agent: _option(recorded, was, now, book) for was, now in zip(body.scores, again, strict=True)}
    return Judged(
        task_id=entry.tokens["task"],
        title=recorded.task.title,
        seq=entry.seq,
        fence=body.fence,
        was=options.get(entry.agent) or Option(entry.agent, 0.0, 0.0, _expected(recorded, entry.agent, book)),
        would=options[would],
        succeeded=recorded.succeeded,
        cut=len(body.scores) >= SCORES_LEN_MAX,
    )


def _option(recorded: _Recorded, was: Score, now: Score, book: Book) -> Option:
    return Option(was.agent, was.score, now.score, _expected(recorded, was.agent, book))


def _expected(recorded: _Recorded, agent: str, book: Book) -> float:
    """By all that the log says of it; of a skill that nobody required only the agent who had the task is known to have used it."""
    skill = recorded.entry.body.skill if agent == recorded.entry.agent else None
    expected = matching.weakest(recorded.task, skill, lambda name, domain: book.expected(agent, name, domain))
    return round(expected.mean, DIGITS)
