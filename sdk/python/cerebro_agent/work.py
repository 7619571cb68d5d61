"""Work: assignments are taken one by one, performed while the lease is kept, and their outcome put on the log, once."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext

from cerebro_agent.cancelling import heeded
from cerebro_agent.connection import Connection, derived
from cerebro_agent.errors import BAD_BODY, AgentError, SkillError, TooLarge, Unavailable
from cerebro_agent.messages import AssignedTask, Assignment, Reply, TaskError
from cerebro_agent.names import Names
from cerebro_agent.skills import Skill
from cerebro_agent.task import Task

log = logging.getLogger("cerebro_agent")

FETCH_S = 5.0
"""How long one request for work stands at the server: after a restart of it, work is asked for again within this time."""
FETCH_PAUSE_S = 0.5
"""Pause before work is asked for again where the server, or the consumer that the mesh makes, is not there yet."""
RETRY_S = 0.5
"""Pause before something about a task is asked or told again."""
LOOK_TRIES = 10
"""How often the mesh is asked how a task stands before its assignment goes back to the server."""
DONE_LEN_MAX = 1_000
"""Of how many assignments it is remembered that they are done with: the server hands out again what it was not told of."""
MESSAGE_LEN_MAX = 2_000
"""Longest message of an unexpected error that is told, in characters."""


class Work:
    """Takes what was assigned to the agent, at most `concurrency` pieces at a time."""

    def __init__(self, connection: Connection, names: Names, agent: str, skills: Mapping[str, Skill], concurrency: int) -> None:
        self._connection = connection
        self._names = names
        self._agent = agent
        self._skills = skills
        self._concurrency = concurrency
        self._taken = 0
        self._running: set[Task] = set()
        self._under_way: set[tuple[str, int]] = set()
        self._done: deque[tuple[str, int]] = deque(maxlen=DONE_LEN_MAX)
        self._changed = asyncio.Event()

    def load(self) -> float:
        """0 idle … 1 full."""
        return min(1.0, self._busy() / self._concurrency)

    def _busy(self) -> int:
        """How much is worked on; what waits for somebody's answer takes no room."""
        return self._taken - sum(task.waiting for task in self._running)

    async def start(self) -> None:
        self._connection.again.append(self._look_at_all)

    async def _look_at_all(self) -> None:
        """After a reconnection: what was said of these tasks meanwhile was not heard."""
        for task in list(self._running):
            try:
                await task.look(self._agent)
            except AgentError as e:
                log.info("task %s goes on: %s", task.task_id, e)

    async def run(self) -> None:
        """Work for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._room()
                msg = await self._next()
                self._taken += 1
                group.create_task(self._one(msg), name="assignment")

    async def _room(self) -> None:
        while self._busy() >= self._concurrency:
            self._changed.clear()
            await self._changed.wait()

    async def _next(self) -> Msg:
        while True:
            sub: JetStreamContext.PullSubscription | None = None
            try:
                sub = await self._connection.js.pull_subscribe_bind(self._names.work, self._names.log)
                with heeded():
                    [msg] = await sub.fetch(1, timeout=FETCH_S)
            except (nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError) as e:
                if not isinstance(e, nats.errors.TimeoutError):
                    log.debug("work is asked for again: %s", str(e) or type(e).__name__)
                await asyncio.sleep(FETCH_PAUSE_S)
            else:
                return msg
            finally:
                if sub is not None:
                    await self._connection.deafen(sub)

    async def _one(self, msg: Msg) -> None:
        """One assignment, from its delivery to its outcome on the log; given back where it cannot be said how it stands."""
        done: bool | None = False
        try:
            assignment = self._read(msg)
            done = assignment is None or await self._once(assignment, msg)
        finally:
            self._taken -= 1
            self._changed.set()
            if done is not None:
                await _settle(msg, done=done)

    async def _once(self, assignment: Assignment, msg: Msg) -> bool | None:
        """Whether it is done with; None where it was handed out again and is still worked on, because no sign of that was heard."""
        key = assignment.task.task_id, assignment.fence
        if key in self._under_way:
            return None
        if key in self._done:
            return True
        self._under_way.add(key)
        try:
            if done := await self._perform(assignment, msg):
                self._done.append(key)
            return done
        finally:
            self._under_way.discard(key)

    @staticmethod
    def _read(msg: Msg) -> Assignment | None:
        try:
            return msgspec.json.decode(msg.data, type=Assignment)
        except BAD_BODY as e:
            log.warning("%s is no assignment: %s", msg.subject, e)
            return None

    async def _perform(self, assignment: Assignment, msg: Msg) -> bool:
        """Run the skill until it ends or the task is no longer ours (cancelled, expired, another fence)."""
        task = Task(self._connection, self._names, assignment, self._changed)
        heard: Subscription | None = None
        self._running.add(task)
        try:
            heard = await self._connection.hear(self._names.heard_of(task.task_id), task.hear)
            await self._connection.nc.flush()
            if not await self._known(task):
                return False
            if not task.lost.is_set():
                await self._do(task, assignment, msg)
            return True
        except (nats.errors.Error, OSError) as e:
            log.info("assignment of %s goes back: %s", task.task_id, str(e) or type(e).__name__)
            return False
        finally:
            self._running.discard(task)
            if heard is not None:
                await self._connection.deafen(heard)

    async def _known(self, task: Task) -> bool:
        for _ in range(LOOK_TRIES):
            try:
                await task.look(self._agent)
            except Unavailable as e:
                log.info("how task %s stands is asked again: %s", task.task_id, e)
                await asyncio.sleep(RETRY_S)
            else:
                return True
        return False

    async def _do(self, task: Task, assignment: Assignment, msg: Msg) -> None:
        begun = assignment.fence > 1 or msg.metadata.num_delivered > 1
        life = asyncio.create_task(task.keep(msg), name=f"lease of {task.task_id}")
        skill = asyncio.create_task(self._outcome(task, assignment, begun=begun), name=f"perform {task.task_id}")
        lost = asyncio.create_task(task.lost.wait(), name=f"watch {task.task_id}")
        try:
            await asyncio.wait({skill, lost}, return_when=asyncio.FIRST_COMPLETED)
            if skill.done():
                await self._tell(task, *skill.result())
        finally:
            for each in (life, skill, lost):
                each.cancel()  # once: what a skill does to clean up is not interrupted
            await asyncio.gather(life, skill, lost, return_exceptions=True)

    async def _outcome(self, task: Task, assignment: Assignment, *, begun: bool) -> tuple[str, dict[str, Any]]:
        """`result` or `failed`, with its body; whatever the skill raises is a failure with a code."""
        try:
            reply = await self._work_off(task, assignment, begun=begun)
        except SkillError as e:
            error = TaskError(code=e.code, message=str(e), retryable=e.retryable)
        except Exception as e:
            log.exception("%s failed on task %s", assignment.skill, task.task_id)
            error = TaskError(code="skill_error", message=f"{type(e).__name__}: {e}"[:MESSAGE_LEN_MAX], retryable=True)
        else:
            return "result", _result(assignment.fence, reply)
        return "failed", {"fence": assignment.fence, "error": error}

    async def _work_off(self, task: Task, assignment: Assignment, *, begun: bool) -> Reply:
        """What the skill makes of the task; where several are required, each in turn, by skill."""
        required = list(dict.fromkeys(task.task.required_skills))
        if begun:
            task.handoff = await self._handoff(task)
        if len(required) <= 1:
            return await self._run_skill(task, assignment.skill or "", task.task.input)
        return Reply(output={name: (await self._run_skill(task, name, _input_of(task.task, name))).output for name in required})

    async def _run_skill(self, task: Task, name: str, given: dict[str, Any]) -> Reply:
        skill = self._skills.get(name)
        if skill is None:
            raise SkillError("no_such_skill", f"{self._agent} has no skill for this task", retryable=True)
        return await skill.perform(given, task)

    async def _handoff(self, task: Task) -> dict[str, Any] | None:
        """The last packet about the task; None where there is none, or memory does not answer."""
        try:
            known = await self._connection.ask(self._names.subject("memory.continuity"), {"agent_id": self._agent}, Continuity)
        except AgentError as e:
            log.info("task %s begins anew: %s", task.task_id, e)
            return None
        return next((t.handoff_packet for t in known.open_tasks if t.task_id == task.task_id), None)

    async def _tell(self, task: Task, kind: str, body: dict[str, Any]) -> None:
        """Put the outcome on the log; it has one id per fence, so that it stands there once however often it is tried."""
        msg_id = derived(task.task_id, body["fence"], "outcome")
        while not task.lost.is_set():
            try:
                await self._connection.put(self._names.about(task.task_id, kind), body, msg_id)
                return
            except TooLarge:
                error = TaskError(code="too_large", message="the output is larger than one message may be")
                kind, body = "failed", {"fence": body["fence"], "error": error}
            except Unavailable as e:
                log.warning("the outcome of %s is not on the log yet: %s", task.task_id, e)


class OpenTask(msgspec.Struct, frozen=True):
    task_id: str
    handoff_packet: dict[str, Any] | None = None


class Continuity(msgspec.Struct, frozen=True):
    open_tasks: list[OpenTask]


def _input_of(task: AssignedTask, skill: str) -> dict[str, Any]:
    """The input of one of several skills: what stands under its name, and all that stands under no skill's name."""
    others = {name for name in task.required_skills if isinstance(task.input.get(name), dict)}
    shared = {key: value for key, value in task.input.items() if key not in others}
    return {**shared, **task.input[skill]} if skill in others else shared


def _result(fence: int, reply: Reply) -> dict[str, Any]:
    return {"fence": fence, "output": reply.output} | ({"message": {"parts": reply.parts}} if reply.parts else {})


async def _settle(msg: Msg, *, done: bool) -> None:
    try:
        await (msg.ack() if done else msg.nak(delay=RETRY_S))
    except (nats.errors.Error, OSError) as e:
        log.info("the server will hand out %s again: %s", msg.subject, e)
