"""The work of one agent that was brought in: what it is assigned becomes a prompt, and what it answers goes to the log in its name."""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from agents.synadia import rules
from agents.synadia.rules import Guest
from agents.synadia.settings import BridgeSettings
from agents.tasks.actor import Tasks
from bus import guests, subjects
from bus.cancelling import end
from bus.delivery import Ack, Outcome, Retry
from bus.errors import CerebroError, Refused, TooLarge, refusal
from bus.ids import derived
from bus.log import Delivery
from bus.work import Work
from schemas.entry import Entry
from schemas.messages import as_text, message, parts_of, text_of
from schemas.synadia import Attachment, Chunk, Query, Response
from schemas.tasks import Artifact, Assignment, Failure, InputAnswer, Progress, Result, TaskError

log = logging.getLogger("cerebro.agents")

READ_WITHIN_S = 5.0
"""How long the fold may take to come to an assignment that was delivered already."""
RETRY_PAUSE_S = 0.5
"""Pause before what could not be published is published again."""
HELD_MAX = 100
"""Most tasks that one agent holds at a time, those that wait for their turn included."""
FLUSH_S = 1.0
"""How often what streams in goes to the log: many chunks make one entry."""
ANSWER_LEN_MAX = 400_000
"""Longest answer, in characters; what it holds must fit one message of the log."""
CODE_LEN_MAX = 100
"""Longest code that a failure may have, in characters; an agent may answer any."""
MESSAGE_LEN_MAX = 2_000
"""Longest sentence of an agent's error that is told, in characters."""
NO_NEWS = frozenset({"ack", "done"})
"""What a status says that is known anyway."""
ACK_WAIT_LEASES = 0.5
"""Share of the lease after which the server hands a silent performer's work to another one."""


class GuestWork:
    """`run` until cancelled. `instance` gives an instance of the agent that is there now, or None."""

    def __init__(self, tasks: Tasks, name: str, settings: BridgeSettings, instance: Callable[[], Guest | None]) -> None:
        self._tasks = tasks
        self._bus = tasks.bus
        self._name = name
        self._settings = settings
        self._instance = instance
        ack_wait_s = max(1.0, tasks.settings.lease_s * ACK_WAIT_LEASES)
        self._work = Work(tasks.bus, subjects.TASK_ASSIGNED, name, lambda: HELD_MAX, self._handle, ack_wait_s)
        self._turns = asyncio.Semaphore(settings.member_prompts_max)

    def load(self) -> float:
        """0 idle … 1 full."""
        return min(1.0, self._work.running / self._settings.member_prompts_max)

    async def run(self) -> None:
        """Work off what the agent is assigned."""
        await self._work.run()

    async def remove(self) -> None:
        """Leave nothing on the server, once the agent is gone. Raises `Unavailable`."""
        await self._work.remove()

    async def _handle(self, delivery: Delivery) -> Outcome:
        entry, book = delivery.entry, self._tasks.book
        assert isinstance(entry, Entry)  # a malformed one has become a dead letter
        if not await self._tasks.until(lambda: book.position >= entry.seq, READ_WITHIN_S):
            return Retry(RETRY_PAUSE_S)
        if self._held(entry.body):
            await self._perform(entry.body)
        return Ack()

    def _held(self, assignment: Assignment) -> bool:
        state = self._tasks.book.open.get(assignment.task.task_id)
        return state is not None and state.held and state.fence == assignment.fence and state.agent == self._name

    async def _perform(self, assignment: Assignment) -> None:
        """Prompt it, and tell the log what comes; ends early where the task is no longer its own."""
        talk = Talk(self._tasks, self._name, assignment, self._settings)
        talking = asyncio.create_task(self._outcome(talk, assignment), name=f"prompt {self._name}")
        telling = asyncio.create_task(talk.keep_telling(self._tasks.settings.progress_s), name=f"lease of {assignment.task.task_id}")
        losing = asyncio.create_task(self._lost(assignment), name=f"watch {assignment.task.task_id}")
        try:
            await asyncio.wait({losing, talking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end(losing, talking, telling)
        if not talking.cancelled():
            await self._tell(assignment, talking.result())

    async def _lost(self, assignment: Assignment) -> None:
        while not await self._tasks.until(lambda: not self._held(assignment), assignment.lease_s):
            continue

    async def _outcome(self, talk: "Talk", assignment: Assignment) -> Result | Failure:
        """What the agent makes of it, once it is its turn. Its lease is extended meanwhile, so that it waits here and not in the
        agent's own queue, where nothing would be heard of it.
        """
        async with self._turns:
            return await self._prompted(talk, assignment)

    async def _prompted(self, talk: "Talk", assignment: Assignment) -> Result | Failure:
        fence, guest = assignment.fence, self._instance()
        if guest is None:
            return Failure(fence=fence, error=TaskError(code="agent_gone", message=f"{self._name} is not there", retryable=True))
        try:
            await talk.hold(guest)
        except Refused as e:
            problem = e.problem()
            again = problem.status in {429, 500} and problem.code != guests.BAD_CHUNK
            code = (problem.code or f"refused_{problem.status}")[:CODE_LEN_MAX]
            error = TaskError(code=code, message=str(e)[:MESSAGE_LEN_MAX], retryable=again)
            return Failure(fence=fence, error=error)
        except CerebroError as e:
            return Failure(fence=fence, error=TaskError(code="agent_silent", message=str(e), retryable=True))
        output = {"text": talk.text} | ({"attachments": msgspec.to_builtins(talk.files)} if talk.files else {})
        return Result(fence=fence, output=output, message=message(talk.text, talk.files))

    async def _tell(self, assignment: Assignment, outcome: Result | Failure) -> None:
        """Put the outcome on the log, once, however often it is tried."""
        ident = assignment.task.task_id
        while self._held(assignment):
            row = subjects.TASK_RESULT if isinstance(outcome, Result) else subjects.TASK_FAILED
            try:
                await self._bus.publish(row, outcome, msg_id=derived(ident, assignment.fence, "result"), task=ident, agent=self._name)
                return
            except TooLarge:
                outcome = Failure(
                    fence=assignment.fence, error=TaskError(code="too_large", message="the answer fits no message of the log")
                )
            except CerebroError as e:
                log.info("the outcome of %s is not on the log yet: %s", ident, e)
                await asyncio.sleep(RETRY_PAUSE_S)


class Talk:
    """One prompt and what comes back. What streams in waits a moment, so that many chunks make one entry of the log."""

    def __init__(self, tasks: Tasks, name: str, assignment: Assignment, settings: BridgeSettings) -> None:
        self._tasks = tasks
        self._bus = tasks.bus
        self._name = name
        self._assignment = assignment
        self._settings = settings
        self._waiting = ""
        self.text = ""
        self.files: list[Attachment] = []

    async def hold(self, guest: Guest) -> None:
        """Prompt it and hear it to its end. Raises `Refused` with what it refused, another `CerebroError` where it fell silent."""
        envelope = rules.envelope(self._assignment.task, self._assignment.skill)
        size = len(msgspec.json.encode(envelope))
        if guest.bytes_max is not None and size > guest.bytes_max:
            raise refusal(400, f"the prompt has {size} bytes, and {self._name} takes {guest.bytes_max}", code="too_large")
        if envelope.attachments and not guest.attachments_ok:
            raise refusal(400, f"{self._name} takes no attachments", code="attachments_not_supported")
        async for chunk in guests.prompt(self._bus, guest.subject, envelope, self._settings.stall_s):
            try:
                await self._hear(chunk)
            except msgspec.ValidationError as e:
                raise refusal(500, f"a {chunk.type} of {self._name} is none: {e}", code=guests.BAD_CHUNK) from e

    async def _hear(self, chunk: Chunk) -> None:
        match chunk.type:
            case "response":
                self._take(Response(text=chunk.data) if isinstance(chunk.data, str) else msgspec.convert(chunk.data, Response))
            case "status" if isinstance(chunk.data, str) and chunk.data not in NO_NEWS:
                await self._progress(Progress(fence=self._assignment.fence, message=chunk.data))
            case "query":
                await self._ask(msgspec.convert(chunk.data, Query))

    def _take(self, said: Response) -> None:
        self.text += said.text
        self._waiting += said.text
        self.files += said.attachments or []
        if len(self.text) + sum(len(f.content) for f in self.files) > ANSWER_LEN_MAX:
            raise refusal(400, f"the answer is longer than {ANSWER_LEN_MAX} characters", code="too_large")

    async def _ask(self, query: Query) -> None:
        """Put its question to whoever watches the task, and hand back what is answered."""
        asked = self._last_answer()
        await self._progress(Progress(fence=self._assignment.fence, state="input_required", message=query.prompt))
        if not await self._tasks.until(lambda: self._last_answer() != asked, self._settings.answer_timeout_s):
            raise refusal(409, f"nobody answered: {query.prompt}", code="no_answer")
        _, answer = self._last_answer()
        parts = parts_of(answer)
        await guests.reply(self._bus, query.reply_subject, as_text(answer) if parts is None else text_of(parts))

    def _last_answer(self) -> tuple[int, object]:
        """The last answer that somebody gave to this task, with its place in the log."""
        state = self._tasks.book.get(self._assignment.task.task_id)
        given = [(line.seq, line.body.message) for line in (state.history if state else ()) if isinstance(line.body, InputAnswer)]
        return given[-1] if given else (0, None)

    async def keep_telling(self, every_s: float) -> None:
        """Extend the lease at once and then every `every_s`, sooner while something streams in."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if self._waiting or loop.time() >= due:
                await self._flush()
                due = loop.time() + every_s
            await asyncio.sleep(min(FLUSH_S, every_s))

    async def _flush(self) -> None:
        text, self._waiting = self._waiting, ""
        artifact = Artifact(artifact_id="answer", parts=[{"text": text}], append=True) if text else None
        await self._progress(Progress(fence=self._assignment.fence, artifact=artifact))

    async def _progress(self, progress: Progress) -> None:
        """Tell it; what cannot be told now is in the result."""
        try:
            await self._bus.publish(subjects.TASK_PROGRESS, progress, task=self._assignment.task.task_id, agent=self._name)
        except CerebroError as e:
            log.info("progress of %s was not told: %s", self._assignment.task.task_id, e)
