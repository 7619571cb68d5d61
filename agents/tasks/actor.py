"""The hands of task distribution: assigns, finishes, submits subtasks, answers what has become of a task."""

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

from msgspec.structs import replace

from agents import paging
from agents.emotion.actor import Emotion
from agents.learning.actor import Learning
from agents.members.actor import Members
from agents.profiles import AgentProfile
from agents.protocol import Duty, Question
from agents.recall import Recall
from agents.relevance import similarity
from agents.settings import AgentSettings
from agents.tasks import graph, matching, rules, split
from agents.tasks.book import Book
from agents.tasks.matching import Candidate, Choice
from agents.tasks.rules import TaskState
from agents.tasks.views import detail, view
from bus import subjects
from bus.connection import Bus, Outgoing
from bus.errors import Conflict, TooLarge, not_found
from bus.ids import derived
from bus.log import entries, put_next
from schemas.entry import Entry
from schemas.members import Ask, Profile
from schemas.tasks import AssignedTask, Assignment, Finished, Score, Split, Submission, TaskDetail, TaskFilter, TaskPage

SHOWN_WITHIN_S = 2.0
"""How long an agent stays booked for a task that was assigned, until the fold shows it."""


class Tasks:
    """Task distribution in one agent. `load()` is what it says of itself in the presence bucket."""

    def __init__(
        self,
        bus: Bus,
        agent: str,
        instance: str,
        profile: AgentProfile,
        members: Members,
        emotion: Emotion,
        learning: Learning,
        recall: Recall,
        settings: AgentSettings,
        until: Callable[[Callable[[], bool], float], Awaitable[bool]],
    ) -> None:
        self.bus = bus
        self.agent = agent
        self.instance = instance
        self.profile = profile
        self.members = members
        self.emotion = emotion
        self.learning = learning
        self.recall = recall
        self.settings = settings
        self.until = until
        self.book = Book(settings.ended_kept_max, settings.success_half_life_s, members.announced)
        self.load: Callable[[], float] = lambda: 0.0
        self._booked: dict[tuple[str, int], str] = {}

    def capacity(self) -> int:
        """Most tasks one instance works on at a time now: the setting, lowered by the mesh's affect, at least 1."""
        return max(1, math.floor(self.settings.task_concurrency * self.emotion.alignment().task_concurrency_factor))

    def holds(self, task_id: str, fence: int) -> bool:
        """Whether this agent has the task under this fence and may still bring it to its end."""
        state = self.book.open.get(task_id)
        return state is not None and state.held and state.fence == fence and state.agent == self.agent

    # the protocol's shape

    def apply(self, entry: Entry) -> None:
        self.book.apply(entry)

    def duties(self, now: datetime) -> Sequence[Duty]:
        return list(self._due(now))

    def questions(self) -> Sequence[Question]:
        return [(subjects.ASK_TASK, self._task), (subjects.ASK_TASKS, self._list)]

    # duties

    def _due(self, now: datetime) -> Iterator[Duty]:
        waiting, unbegun = [], []
        for state in self.book.open.values():
            match self._step(state, now):
                case rules.Finish(end):
                    yield Duty(f"finish task {state.task_id} {state.last_seq}", partial(self._finish, state, end), shared=True)
                case graph.Start(children):
                    for ident, child in children.items():
                        yield Duty(f"submit subtask {ident}", partial(self._submit, ident, child), shared=True)
                case rules.Assign():
                    waiting.append(state)
                case None if rules.unbegun(state, now, self.settings.steal_after_s):
                    unbegun.append(state)
        if waiting:
            yield from self._assignments(sorted(waiting, key=_urgency))
        if unbegun:
            yield from self._thefts(sorted(unbegun, key=_urgency))

    def _step(self, state: TaskState, now: datetime) -> rules.Assign | rules.Finish | graph.Start | None:
        if state.composite:
            return graph.due(state, self.book.children(state), now)
        return graph.orphaned(state, self.book.parent(state)) or rules.due(state, now, self._alive)

    def _alive(self, agent: str, instance: str | None) -> bool:
        """Whether it is there; as long as we have not listened for long enough, everyone is."""
        if instance is not None:
            return self.members.alive(agent, instance)
        return agent in self.members.present("tasks") or not self.members.listened_long()

    def _assignments(self, waiting: Sequence[TaskState]) -> Iterator[Duty]:
        """The most urgent first, as long as there is room for them."""
        candidates = self._candidates() if self.members.hears_everyone("tasks") else []
        room = sum(c.capacity - c.open_tasks for c in candidates)
        listed = self.members.listed("tasks") if self.members.listened_long() else None
        for state in waiting:
            if room > 0 and any(matching.eligible(state.task, c) for c in candidates):
                room -= 1
                key = f"assign task {state.task_id} {state.fence + 1} {state.failures}"
                yield Duty(key, partial(self._assign, state.task_id), shared=True)
            elif error := listed and matching.impossible(state.task, listed):
                end = Finished(status="failed", error=error)
                yield Duty(f"refuse task {state.task_id}", partial(self._finish, state, end), shared=True)
            elif listed and split.scattered(state.task, listed):
                yield Duty(f"split task {state.task_id}", partial(self._split, state.task_id), shared=True)

    def _thefts(self, unbegun: Sequence[TaskState]) -> Iterator[Duty]:
        """What waits with an agent that does not begin it, while another one has nothing to do."""
        candidates = self._candidates() if self.members.hears_everyone("tasks") else []
        for state in unbegun:
            if _thieves(state, candidates):
                key = f"steal task {state.task_id} {state.fence + 1}"
                yield Duty(key, partial(self._steal, state.task_id), shared=True)

    def _candidates(self) -> list[Candidate]:
        present: Mapping[str, Profile] = self.members.present("tasks")
        holding, each = self.book.open_by_agent() + self._booked_now(), self.capacity()
        return [
            Candidate(
                agent=agent,
                profile=profile,
                open_tasks=min(holding[agent], each * self._instances(agent)),
                capacity=each * self._instances(agent),
                affect=self.emotion.affect(agent),
                success=partial(self.book.expected, agent),
            )
            for agent, profile in present.items()
        ]

    def _booked_now(self) -> Counter[str]:
        """How many tasks each agent is being given at this moment, which the fold does not show yet."""
        return Counter(agent for (task_id, fence), agent in self._booked.items() if not self._shows(task_id, fence))

    def _instances(self, agent: str) -> int:
        known = self.members.roster.get(agent)
        return max(1, len(known.instances) if known else 1)

    async def _assign(self, task_id: str) -> None:
        state = self.book.open.get(task_id)
        if state is None or not isinstance(self._step(state, self.bus.now()), rules.Assign):
            return
        choice = self._choose(state.task, self._candidates(), state.avoided)
        if choice is not None:
            await self._give(state, choice, reason=rules.reason(state, self.bus.now()))

    async def _steal(self, task_id: str) -> None:
        state = self.book.open.get(task_id)
        if state is None or not rules.unbegun(state, self.bus.now(), self.settings.steal_after_s):
            return
        choice = self._choose(state.task, _thieves(state, self._candidates()), frozenset())
        if choice is not None:
            reason = f"{state.agent} has not begun it within {self.settings.steal_after_s:g} s, and {choice.agent} is idle"
            await self._give(state, choice, reason=reason, stolen_from=state.agent)

    def _choose(self, task: Submission, candidates: Sequence[Candidate], tried: frozenset[str]) -> Choice | None:
        return matching.choose(task, candidates, tried, self.settings.weights, similarity)

    async def _give(self, state: TaskState, choice: Choice, *, reason: str | None, stolen_from: str | None = None) -> None:
        """Assign it under the next fence; until the fold shows that, the agent counts as booked."""
        key = state.task_id, state.fence + 1
        self._booked[key] = choice.agent
        try:
            await self._publish_assignment(state, choice, reason, stolen_from)
            await self.until(lambda: self._shows(*key), SHOWN_WITHIN_S)
        finally:
            self._booked.pop(key, None)

    def _shows(self, task_id: str, fence: int) -> bool:
        state = self.book.open.get(task_id)
        return state is None or state.fence >= fence

    async def _publish_assignment(self, state: TaskState, choice: Choice, reason: str | None, stolen_from: str | None) -> None:
        body = Assignment(
            fence=state.fence + 1,
            lease_s=self.settings.lease_s,
            backoff_s=rules.backoff_s(state.failures, self.settings.retry_first_s, self.settings.retry_max_s),
            reason=reason,
            stolen_from=stolen_from,
            task=AssignedTask(**rules.defaults_filled(state), task_id=state.task_id),
            skill=choice.skill,
            scores=choice.scores,
        )
        tokens = {"task": state.task_id, "agent": choice.agent}
        msg_id = derived(state.task_id, body.fence, "assigned")
        try:
            await self._write(state, Outgoing(row=subjects.TASK_ASSIGNED, body=body, tokens=tokens, msg_id=msg_id))
        except TooLarge:
            await self._finish(state, rules.failed("too_large", "the task is too large to be assigned: it must fit one message"))

    async def _split(self, task_id: str) -> None:
        """Make it a composite task, once: whoever reads the log sees the same parts."""
        state, listed = self.book.open.get(task_id), self.members.listed("tasks")
        if state is None or state.composite or not split.scattered(state.task, listed):
            return
        body = Split(
            subtasks=split.parts(state.task, listed), reason=split.reason(state.task, listed), scores=self._scores_of_parts(state.task)
        )
        out = Outgoing(row=subjects.TASK_SPLIT, body=body, tokens={"task": task_id}, msg_id=derived(task_id, "split"))
        try:
            await self._write(state, out)
        except TooLarge:
            await self._finish(state, rules.failed("too_large", "the task is too large to be split: its parts must fit one message"))

    def _scores_of_parts(self, task: Submission) -> list[Score]:
        """Who is the best for each required skill now, where somebody has room; each part is assigned for itself later."""
        candidates, found = self._candidates(), []
        for skill in dict.fromkeys(task.required_skills):
            choice = self._choose(replace(task, required_skills=[skill]), candidates, frozenset())
            found += [replace(choice.scores[0], skill=skill)] if choice else []
        return found

    async def _finish(self, state: TaskState, end: Finished) -> None:
        out = Outgoing(row=subjects.TASK_FINISHED, body=end, tokens={"task": state.task_id}, msg_id=derived(state.task_id, "finished"))
        try:
            await self._write(state, out)
        except TooLarge:
            await self._finish(state, rules.failed("too_large", "the output is larger than one message may be", agent=end.agent))

    async def _submit(self, task_id: str, child: Submission) -> None:
        out = Outgoing(row=subjects.TASK_SUBMITTED, body=child, tokens={"task": task_id}, msg_id=derived(task_id, "submitted"))
        try:
            await self._put_if(out, task_id, 0)
        except Conflict:
            known = await entries(self.bus, [_aggregate(task_id)])
            if known and not any(isinstance(e, Entry) and isinstance(e.body, Submission) for e in known):
                await self._put_if(out, task_id, known[-1].seq)
        except TooLarge:
            parent = self.book.open.get(child.parent or "")
            if parent is not None:
                await self._finish(parent, rules.failed("too_large", f"the input of {child.title} is larger than one message may be"))

    async def _write(self, state: TaskState, out: Outgoing) -> None:
        """Compare-and-set over everything about the task: where the log holds what this fold has not read, the next look decides anew."""
        await self._put_if(out, state.task_id, state.last_seq)

    async def _put_if(self, out: Outgoing, task_id: str, last_seq: int) -> None:
        await put_next(self.bus, replace(out, expect_last_seq=last_seq, expect_subject=_aggregate(task_id)))

    # questions

    async def _task(self, ask: Ask) -> TaskDetail:
        if self.book.get(ask.id) is None:
            logged = await self._from_log(ask.id)
            if logged.finished is not None:
                return detail(logged)
            await self.until(lambda: self.book.get(ask.id) is not None, SHOWN_WITHIN_S)
        if ask.wait_s:
            await self.until(lambda: ask.id not in self.book.open, ask.wait_s)
        return detail(self.book.get(ask.id) or await self._from_log(ask.id))

    async def _from_log(self, task_id: str) -> TaskState:
        """A task that is not in the fold (any more, or yet), folded from its own entries. Raises `Refused` (404)."""
        state: TaskState | None = None
        if subjects.find(subjects.TASK_FINISHED.subject(task=task_id)):
            for entry in await entries(self.bus, [_aggregate(task_id)]):
                if isinstance(entry, Entry):
                    state = rules.apply(state, entry)
        if state is None:
            raise not_found(f"no task {task_id}")
        return state

    async def _list(self, which: TaskFilter) -> TaskPage:
        newest_first = (
            (s.submitted_seq, s)
            for s in self.book.newest_first()
            if which.status in {None, s.status} and which.agent in {None, s.agent} and which.context in {None, s.task.context}
        )
        found, before = paging.page(newest_first, which.before, which.limit)
        return TaskPage(tasks=[view(s) for s in found], next_before=before)


def _urgency(state: TaskState) -> tuple[int, int]:
    """The most urgent first, then the oldest."""
    return -state.task.priority, state.submitted_seq


def _thieves(state: TaskState, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Who could take it and is idle. From whom it was taken once, or who has tried it, does not get it so."""
    former = state.stolen | state.avoided
    return [c for c in candidates if c.idle and c.agent not in former and matching.eligible(state.task, c)]


def _aggregate(task_id: str) -> str:
    return subjects.aggregate(subjects.TASK_SUBMITTED, task=task_id)
