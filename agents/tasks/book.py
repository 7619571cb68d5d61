"""The book of tasks: every open task and the latest ended ones, folded from the log; who is good at what."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice

from msgspec.structs import replace

from agents.tasks import graph, rules
from agents.tasks.announced import bad_output
from agents.tasks.rules import TaskState
from agents.tasks.success import Expected, SuccessBook
from schemas.entry import Entry
from schemas.forgetting import Forgotten
from schemas.members import Profile
from schemas.tasks import Assignment, Cancel, Failure, Finished, InputAnswer, Progress, Result, Split, Submission, TaskError

ABOUT_TASKS = (Submission, Assignment, Split, Progress, InputAnswer, Result, Failure, Cancel, Finished)


class Book:
    """What an agent knows of all tasks. `ended_kept_max`: most ended ones; older ones stand in the log only.

    `success_half_life_s`: time in which an outcome loses half of its weight. `announced`: what an agent says of itself by the log so far,
    where its results are to be checked against it.
    """

    def __init__(
        self, ended_kept_max: int, success_half_life_s: float, announced: Callable[[str], Profile | None] = lambda _: None
    ) -> None:
        self._ended_kept_max = ended_kept_max
        self._half_life_s = success_half_life_s
        self._announced = announced
        self.position = 0
        self.time = datetime.min.replace(tzinfo=UTC)
        self.open: dict[str, TaskState] = {}
        self.ended: dict[str, TaskState] = {}
        self.success: dict[str, SuccessBook] = {}

    def apply(self, entry: Entry) -> None:
        """Fold one entry of the log."""
        self.position, self.time = entry.seq, entry.time
        if isinstance(entry.body, ABOUT_TASKS):
            self._task(entry)
        elif isinstance(entry.body, Forgotten):
            self._forget(set(entry.body.seqs))

    def _forget(self, seqs: set[int]) -> None:
        """Drop the ended tasks whose submission was erased from the log, and of the others the lines of history that were."""
        for ident, state in list(self.ended.items()):
            if state.submitted_seq in seqs:
                del self.ended[ident]
            elif any(line.seq in seqs for line in state.history):
                self.ended[ident] = replace(state, history=tuple(line for line in state.history if line.seq not in seqs))

    def _task(self, entry: Entry) -> None:
        before = self.get(entry.tokens["task"])
        after = rules.apply(before, entry, self._refused(before, entry))
        if after is None or after is before:
            return
        self._put(after)
        if earned := rules.credit(before, after):
            known = self.success.setdefault(earned.agent, SuccessBook(self._half_life_s))
            known.count(earned.skills, earned.domain, entry.time, success=earned.success)
        if before is None:
            self._child_began(after)

    def _refused(self, before: TaskState | None, entry: Entry) -> TaskError | None:
        """Why a result that came in time is not what its agent announced."""
        if not isinstance(entry.body, Result) or before is None or rules.why_ignored(before, entry):
            return None
        return bad_output(self._announced(entry.agent), before.task, before.skill, entry.body.output)

    def _put(self, state: TaskState) -> None:
        if state.finished is None:
            self.open[state.task_id] = state
            return
        self.open.pop(state.task_id, None)
        self.ended[state.task_id] = state
        for ident in list(islice(self.ended, max(0, len(self.ended) - self._ended_kept_max))):
            self._drop(ident)

    def _drop(self, task_id: str) -> None:
        """Forget an ended task, but for a subtask that its open parent still waits for: it is put off."""
        state = self.ended.pop(task_id)
        parent = self.parent(state)
        if parent is not None and parent.finished is None:
            self.ended[task_id] = state

    def _child_began(self, child: TaskState) -> None:
        parent = self.parent(child)
        if parent is not None and parent.status == "submitted":
            self.open[parent.task_id] = replace(parent, status="running")

    def expected(self, agent: str, skill: str, domain: str | None) -> Expected:
        """What is to be expected of an agent's work, as of the last entry that was folded: the same on every replica that is there."""
        known = self.success.get(agent)
        return known.expected(skill, domain, self.time) if known is not None else Expected()

    def get(self, task_id: str) -> TaskState | None:
        return self.open.get(task_id) or self.ended.get(task_id)

    def parent(self, child: TaskState) -> TaskState | None:
        """The composite task whose subtask this is, if it is one and is still known."""
        parent = self.get(child.task.parent) if child.task.parent else None
        return parent if parent is not None and graph.is_child(child.task_id, parent) else None

    def children(self, parent: TaskState) -> dict[str, TaskState]:
        """The subtasks submitted so far, by subtask id."""
        found = {sub.id: self.get(graph.child_id(parent.task_id, sub.id)) for sub in parent.task.subtasks}
        return {sub: state for sub, state in found.items() if state is not None}

    def open_by_agent(self) -> Counter[str]:
        """How many tasks each agent is at now; those that wait for input leave it room for others."""
        return Counter(s.agent for s in self.open.values() if s.held and s.agent and not s.waiting)

    def newest_first(self) -> Iterator[TaskState]:
        """All that are kept, by the entry of their submission."""
        yield from sorted([*self.open.values(), *self.ended.values()], key=lambda s: -s.submitted_seq)
