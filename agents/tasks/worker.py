"""The worker: performs what this agent was assigned, shows that it lives meanwhile, and says what came of it, once."""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from agents import profiles
from agents.learning.actor import RelevantLesson
from agents.llm.faculty import Faculty
from agents.recall import Noted, NotingRecall
from agents.skills import SKILLS, messages
from agents.skills.general_work import GENERAL_WORK, AnyTask
from agents.skills.skill import Skill, SkillContext, SkillError
from agents.tasks.actor import Tasks
from agents.tasks.handoff import Handoffs
from agents.tasks.split import input_of
from bus import subjects
from bus.cancelling import end
from bus.delivery import Ack, Outcome, Retry
from bus.errors import CerebroError, TimedOut, TooLarge, Unavailable
from bus.ids import derived
from bus.log import Delivery
from bus.work import Work
from schemas.entry import Entry
from schemas.messages import message, parts_of, text_of
from schemas.tasks import AssignedTask, Assignment, Failure, Progress, Result, TaskError

log = logging.getLogger("cerebro.agents")

READ_WITHIN_S = 5.0
"""How long the fold may take to come to an assignment that was delivered already."""
TELL_PAUSE_S = 0.5
"""Pause before an outcome that could not be published is published again."""
MESSAGE_LEN_MAX = 2_000
"""Longest message of an unexpected error that is told, in characters."""


class Worker:
    """`start` it once the log has been read; `stop` gives back what is under way."""

    def __init__(self, tasks: Tasks, skills: Mapping[str, Skill] = SKILLS, faculty: Faculty | None = None) -> None:
        self._tasks = tasks
        self._skills = skills
        self._faculty = faculty
        self._bus = tasks.bus
        self._agent = tasks.agent
        self._builtin = frozenset(profiles.load(tasks.settings.profiles_dir))
        self._handoffs = Handoffs(tasks)
        self._task: asyncio.Task[None] | None = None
        self._work = Work(tasks.bus, subjects.TASK_ASSIGNED, tasks.agent, tasks.capacity, self._handle, tasks.settings.lease_s)
        tasks.load = self.load

    def load(self) -> float:
        """0 idle … 1 full."""
        return min(1.0, self._work.running / self._tasks.capacity())

    async def start(self, group: asyncio.TaskGroup) -> None:
        self._task = group.create_task(self._work.run(), name="work")

    async def stop(self) -> None:
        if self._task is not None:
            await end(self._task)

    async def _handle(self, delivery: Delivery) -> Outcome:
        """One assignment, from its delivery to its outcome on the log. What another fence has overtaken is not begun."""
        entry, book = delivery.entry, self._tasks.book
        assert isinstance(entry, Entry)  # a malformed one has become a dead letter
        if not await self._tasks.until(lambda: book.position >= entry.seq, READ_WITHIN_S):
            return Retry(TELL_PAUSE_S)
        assignment: Assignment = entry.body
        if self._tasks.holds(assignment.task.task_id, assignment.fence):
            await self._perform(assignment, begun=assignment.fence > 1 or delivery.delivered > 1)
        return Ack()

    async def _perform(self, assignment: Assignment, *, begun: bool) -> None:
        """Run the skill until it ends or the task is no longer ours (cancelled, expired, another fence).

        `begun`: somebody, or this agent before a restart, may have worked on it and left a packet.
        """
        ident = assignment.task.task_id
        async with asyncio.TaskGroup() as group:
            life = group.create_task(self._show_life(assignment), name=f"lease of {ident}")
            lost = group.create_task(self._lost(assignment), name=f"watch {ident}")
            skill = group.create_task(self._outcome(assignment, begun=begun), name=f"perform {ident}")
            await asyncio.wait({lost, skill}, return_when=asyncio.FIRST_COMPLETED)
            performed = skill.result() if skill.done() and not skill.cancelled() else None
            await end(life, skill)
            if performed is not None:
                await self._tell(assignment, performed)
            await end(lost)

    def _held(self, assignment: Assignment) -> bool:
        return self._tasks.holds(assignment.task.task_id, assignment.fence)

    async def _lost(self, assignment: Assignment) -> None:
        while not await self._tasks.until(lambda: not self._held(assignment), assignment.lease_s):
            continue

    async def _show_life(self, assignment: Assignment) -> None:
        """Extend the lease at once and then every `progress_s`."""
        while True:
            try:
                await self._progress(assignment, None)
            except CerebroError as e:
                log.info("the lease of %s was not extended: %s", assignment.task.task_id, e)
            await asyncio.sleep(self._tasks.settings.progress_s)

    async def _progress(self, assignment: Assignment, message: str | None) -> None:
        progress = Progress(fence=assignment.fence, message=message, instance=self._tasks.instance)
        await self._bus.publish(subjects.TASK_PROGRESS, progress, task=assignment.task.task_id, agent=self._agent)

    async def _say(self, assignment: Assignment, message: str) -> None:
        """Tell how far the work is; where it cannot be told, the work goes on."""
        try:
            await self._progress(assignment, message)
        except CerebroError as e:
            log.info("progress of %s was not told: %s", assignment.task.task_id, e)

    async def _outcome(self, assignment: Assignment, *, begun: bool) -> Result | Failure:
        """What the skill makes of the task, with the receipt of what it recalled; whatever it raises is a failure with a code."""
        fence, noted = assignment.fence, Noted()
        try:
            output, told = await self._work_off(assignment, noted, begun=begun)
        except SkillError as e:
            error = TaskError(code=e.code, message=str(e), retryable=e.retryable)
            return Failure(fence=fence, error=error, recalled=noted.receipt())
        except (Unavailable, TimedOut) as e:
            log.info("%s does not come to its end on task %s: %s", assignment.skill, assignment.task.task_id, e)
            return Failure(fence=fence, error=TaskError(code="unavailable", message=str(e), retryable=True), recalled=noted.receipt())
        except Exception as e:
            log.exception("%s failed on task %s", assignment.skill, assignment.task.task_id)
            self._tasks.emotion.feel("error", f"{assignment.skill} failed: {type(e).__name__}")
            message = f"{type(e).__name__}: {e}"[:MESSAGE_LEN_MAX]
            error = TaskError(code="skill_error", message=message, retryable=True)
            return Failure(fence=fence, error=error, recalled=noted.receipt())
        return Result(fence=fence, output=output, message=told, recalled=noted.receipt())

    async def _work_off(self, assignment: Assignment, noted: Noted, *, begun: bool) -> tuple[object, dict[str, Any] | None]:
        """The output of the skill, and what it says in words to a message in words; where several are required, the output of each in
        turn, by skill. Only a single one goes on from a packet.
        """
        task = assignment.task
        required = list(dict.fromkeys(task.required_skills))
        if len(required) > 1:
            done = {name: await self._run_skill(assignment, name, input_of(task, name), noted, begun=False) for name in required}
            return {name: output for name, (output, _) in done.items()}, None
        return await self._run_skill(assignment, assignment.skill, task.input, noted, begun=begun)

    async def _run_skill(
        self, assignment: Assignment, name: str | None, given: dict[str, Any], noted: Noted, *, begun: bool
    ) -> tuple[object, dict[str, Any] | None]:
        task, parts = assignment.task, parts_of(given.get("message"))
        fields = {key: value for key, value in given.items() if key not in {"message", "dependencies"}}
        heard = [{"data": fields}] if fields else parts  # a door may have taken the fields out of the message already
        skill, found = self._skill(task, name, given) if parts is None else self._understood(task, name, heard or [])
        handoff = await self._handoffs.last(assignment) if begun else None
        output = await self._in_time(skill, self._context(assignment, noted, handoff), found)
        told = message(skill.speech.say(output)) if skill.speech is not None and parts is not None else None
        return msgspec.to_builtins(output), told

    async def _in_time(self, skill: Skill, context: SkillContext, given: object) -> object:
        """What the skill makes of it, ended where it hangs: signs of life come from the worker, so the lease alone would never end."""
        limit_s = None if skill.patient else self._tasks.settings.skill_timeout_s
        bound = asyncio.timeout(limit_s)
        try:
            async with bound:
                return await skill.run(context, given)
        except TimeoutError as e:
            if not bound.expired():
                raise
            raise SkillError("timed_out", f"{skill.name} was not done within {limit_s:g} s", retryable=True) from e

    def _understood(self, task: AssignedTask, name: str | None, parts: list[dict[str, Any]]) -> tuple[Skill, object]:
        """What performs a task that is a message in words, and its input. With a language model nothing is not understood."""
        if task.required_skills:
            skill = self._own(name)
            if skill is None:
                raise self._unfit()
            return self._able(skill), read_input(skill, messages.heard_by(skill, parts))
        own = [self._skills[name] for name in self._tasks.profile.primary_functions if name in self._skills]
        try:
            skill, given = messages.understand(own, self._tasks.profile.default_skill, parts)
        except SkillError:
            if self._faculty is None:
                raise
            return GENERAL_WORK, AnyTask(title=task.title, description=text_of(parts))
        return self._able(skill), read_input(skill, given)

    def _skill(self, task: AssignedTask, name: str | None, given: dict[str, Any]) -> tuple[Skill, object]:
        """What performs the task, and its input. A task that asks for no skill, and is like none, is work for a language model."""
        skill = self._own(name)
        if skill is None:
            if self._faculty is None or task.required_skills:
                raise self._unfit()
            return GENERAL_WORK, AnyTask(title=task.title, description=task.description, input=task.input)
        return self._able(skill), read_input(skill, given)

    def _own(self, name: str | None) -> Skill | None:
        return self._skills.get(name or "") if name in self._tasks.profile.primary_functions else None

    def _unfit(self) -> SkillError:
        text = f"no skill of {self._agent} fits this task, and work of any kind needs a language model"
        return SkillError("needs_language_model", text)

    def _able(self, skill: Skill) -> Skill:
        """The skill, if what it needs is here. Raises `SkillError`."""
        if skill.needs_language_model and self._faculty is None:
            raise SkillError("needs_language_model", f"{skill.name} needs a language model, and there is none here")
        return skill

    def _context(self, assignment: Assignment, noted: Noted, handoff: dict[str, Any] | None) -> SkillContext:
        t, task_id = self._tasks, assignment.task.task_id
        return SkillContext(
            agent=t.agent,
            task_id=task_id,
            bus=t.bus,
            recall=NotingRecall(t.bus, noted, task_id),
            lessons=partial(self._lessons, noted),
            builtin=self._builtin,
            now=self._bus.now(),
            left_s=partial(self._left_s, assignment),
            tell=partial(self._say, assignment),
            checkpoint=partial(self._handoffs.leave, assignment),
            handoff=handoff,
            faculty=self._faculty,
        )

    def _lessons(self, noted: Noted, text: str, domain: str | None, limit: int) -> list[RelevantLesson]:
        """The lessons this agent holds that bear on `text`, noted."""
        found = self._tasks.learning.relevant(text, domain, limit)
        noted.take(lesson.lesson_id for lesson in found)
        return found

    def _left_s(self, assignment: Assignment) -> float:
        """Seconds until the task expires; none for one that the fold does not know any more."""
        state = self._tasks.book.get(assignment.task.task_id)
        return (state.deadline - self._bus.now()).total_seconds() if state is not None else 0.0

    async def _tell(self, assignment: Assignment, outcome: Result | Failure) -> None:
        """Put the outcome on the log; it has one id per fence, so that it stands there once however often it is tried."""
        while self._held(assignment):
            try:
                await self._publish_outcome(assignment, outcome)
                return
            except TooLarge:
                error = TaskError(code="too_large", message="the output is larger than one message may be")
                outcome = Failure(fence=assignment.fence, error=error)
            except CerebroError as e:
                log.info("the outcome of %s is not on the log yet: %s", assignment.task.task_id, e)
                await asyncio.sleep(TELL_PAUSE_S)

    async def _publish_outcome(self, assignment: Assignment, outcome: Result | Failure) -> None:
        ident = assignment.task.task_id
        row = subjects.TASK_RESULT if isinstance(outcome, Result) else subjects.TASK_FAILED
        await self._bus.publish(row, outcome, msg_id=derived(ident, assignment.fence, "result"), task=ident, agent=self._agent)


def read_input(skill: Skill, given: object) -> object:
    """What was given as the skill takes it. Raises `SkillError` `bad_input` with the path of what is wrong."""
    try:
        return msgspec.convert(given, skill.input)
    except msgspec.ValidationError as e:
        where = "" if " - at `" in str(e) else " - at `$`"
        raise SkillError("bad_input", f"input of {skill.name}: {e}{where}") from e
