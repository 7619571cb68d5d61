"""The door out: keeps those hosted that are to be found and prompted, and answers each prompt with a task."""

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial

from agents.members.actor import Members
from agents.profiles import AgentProfile
from agents.synadia import rules
from agents.synadia.settings import BridgeSettings
from agents.tasks.actor import Tasks
from bus import subjects
from bus.cancelling import end as end_tasks
from bus.connection import Bus
from bus.errors import CerebroError, TimedOut, bad_request, refusal
from bus.hosting import Hosted, HostLimits, Stream
from bus.ids import uuid7
from schemas.members import Profile
from schemas.messages import message
from schemas.synadia import Envelope
from schemas.tasks import Finished, HistoryEntry, InputAnswer, Progress, Result

log = logging.getLogger("cerebro.agents")

LOOK_S = 1.0
"""How often it is looked who is to be hosted."""
GRACE_S = 10.0
"""How long after its own time a task may still be told as ended."""


class Door:
    """Hosts this agent, and members from elsewhere while this agent is the first of the built-in ones that are there."""

    def __init__(
        self, bus: Bus, profile: AgentProfile, members: Members, tasks: Tasks, settings: BridgeSettings, builtin: frozenset[str]
    ) -> None:
        self._bus = bus
        self._profile = profile
        self._members = members
        self._tasks = tasks
        self._settings = settings
        self._builtin = builtin
        self._hosted: dict[str, tuple[str, Hosted]] = {}
        self._limits = HostLimits(
            prompt_bytes_max=settings.prompt_bytes_max,
            prompts_max=settings.prompts_max,
            heartbeat_s=settings.heartbeat_s,
            keep_alive_s=settings.keep_alive_s,
        )

    async def run(self) -> None:
        """Keep hosted who should be, until cancelled."""
        try:
            while True:
                try:
                    await self._keep()
                except CerebroError as e:
                    log.info("not everyone can be prompted now: %s", e)
                await asyncio.sleep(LOOK_S)
        finally:
            await self._stop(list(self._hosted))

    async def _keep(self) -> None:
        wanted = self._wanted()
        await self._stop([name for name, (agent, _) in self._hosted.items() if wanted.get(name, ("", None))[0] != agent])
        for name, (agent, profile) in wanted.items():
            if name not in self._hosted:
                hosted = self._host(name, agent, profile)
                self._hosted[name] = agent, hosted
                try:
                    await hosted.start()
                except CerebroError:
                    await self._stop([name])
                    raise

    def _wanted(self) -> dict[str, tuple[str, Profile]]:
        """Who is to be hosted here, by its name in the protocol."""
        agent, present = self._profile.name, self._members.present("tasks")
        found = {rules.hosted_name(agent): (agent, self._profile.announced(0.0))}
        if self._members.rank(0) == 0:
            found |= {name: (other, present[other]) for name, other in rules.to_host(present, self._builtin).items()}
        return found

    def _host(self, name: str, agent: str, profile: Profile) -> Hosted:
        async def answer(envelope: Envelope, stream: Stream) -> None:
            """Answer one prompt of this agent."""
            await self._answer(agent, envelope, stream)

        words = rules.description(agent, profile.role, profile.skill_names())
        metadata = {"member": agent, "role": profile.role, "skills": ",".join(profile.skill_names())}
        return Hosted(self._bus, name, words, metadata, answer, self._limits, attachments_ok=agent not in self._builtin)

    async def _stop(self, names: list[str]) -> None:
        for name in names:
            _, hosted = self._hosted.pop(name)
            await hosted.stop()

    # prompts

    async def _answer(self, agent: str, envelope: Envelope, stream: Stream) -> None:
        if fault := rules.skill_fault(envelope):
            raise bad_request(fault, "$.metadata.skill")
        task_id, answer = uuid7(), ""
        task = rules.submission(agent, envelope, self._settings.prompt_timeout_s)
        await self._bus.publish(subjects.TASK_SUBMITTED, task, msg_id=task_id, task=task_id)
        result: Result | None = None
        async for line in self._told(task_id):
            match line.body:
                case Progress() as progress:
                    answer += await self._tell(task_id, rules.said(progress), stream)
                case Result() as result:
                    pass
                case Finished() as end:
                    await self._end(result, end, answer, stream)

    async def _told(self, task_id: str) -> AsyncIterator[HistoryEntry]:
        """What the log says of the task and counts, as it comes, to its end. Raises `TimedOut` where that does not come."""
        loop = asyncio.get_running_loop()
        until, seen = loop.time() + self._settings.prompt_timeout_s + GRACE_S, 0
        while loop.time() < until:
            state = self._tasks.book.get(task_id)
            for line in state.history if state else ():
                if line.seq > seen and line.ignored is None:
                    yield line
            seen = state.last_seq if state else seen
            if state is not None and state.finished is not None:
                return
            await self._tasks.until(partial(self._is_beyond, task_id, seen), max(0.0, until - loop.time()))
        raise TimedOut(f"task {task_id} has not ended in time")

    def _is_beyond(self, task_id: str, seq: int) -> bool:
        state = self._tasks.book.get(task_id)
        return state is not None and state.last_seq > seq

    async def _tell(self, task_id: str, said: rules.Said, stream: Stream) -> str:
        """Send this to the caller; what of it belongs to the answer."""
        if said.status:
            await stream.status(said.status)
        await stream.text(said.text, said.files)
        if said.question:
            asking = asyncio.create_task(self._ask(task_id, said.question, stream), name=f"ask the caller of {task_id}")
            ending = asyncio.create_task(self._ended(task_id), name=f"end of {task_id}")
            try:
                await asyncio.wait({asking, ending}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await end_tasks(asking, ending)
            if not asking.cancelled():
                asking.result()
        return said.text

    async def _ask(self, task_id: str, question: str, stream: Stream) -> None:
        """Put the agent's question to the caller, and the caller's answer on the log."""
        answer = InputAnswer(message=message(await stream.ask(task_id, question, self._settings.answer_timeout_s)))
        await self._bus.publish(subjects.TASK_INPUT, answer, task=task_id, agent=self._profile.name)

    async def _ended(self, task_id: str) -> None:
        while not await self._tasks.until(lambda: task_id in self._tasks.book.ended, self._settings.answer_timeout_s):
            continue

    async def _end(self, result: Result | None, end: Finished, already: str, stream: Stream) -> None:
        if end.status == "succeeded":
            said = rules.final(result, end, already)
            await stream.text(said.text, said.files)
            return
        code = end.error.code if end.error else end.status
        raise refusal(rules.STATUSES.get(code, 500), end.error.message if end.error else end.status, code=code)
