"""Tasks on a real server: several agents, each with its own connection, in one event loop; one can be killed."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import msgspec
import nats
import pytest
import pytest_asyncio
from msgspec.structs import replace
from nats.aio.client import Client

from agents.actor import Actor
from agents.emotion.actor import Emotion
from agents.learning.actor import Learning
from agents.members.actor import Members
from agents.profiles import AgentProfile
from agents.recall import Recall
from agents.settings import AgentSettings
from agents.skills import SKILLS
from agents.skills.skill import Skill, SkillContext
from agents.tasks.actor import Tasks
from agents.tasks.worker import Worker
from bus import streams, subjects
from bus.connection import Bus
from bus.errors import Refused, TimedOut, Unavailable
from bus.service import Service
from bus.settings import BusSettings
from cerebro.embedded.nats import NatsServer
from memory.main import run as run_memory
from memory.settings import MemorySettings
from schemas.members import Ask, Profile
from schemas.memory import Action, Await
from schemas.tasks import Cancel, HistoryEntry, Progress, Result, Submission, Subtask, TaskDetail, TaskFilter
from tests.conftest import running

SETTINGS = AgentSettings(lease_s=2.0, progress_s=0.3, task_concurrency=2)
PATIENCE_S = 30.0
"""Longest wait for anything; never the measure of a test."""


class Input(msgspec.Struct):
    word: str = "done"
    dependencies: dict[str, Any] = {}


class Performance:
    """Skills whose work the test looks into: `done` finishes at once, `slow` when the test lets it."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.stopped: list[str] = []
        self.let_go = asyncio.Event()

    def skills(self, *names: str) -> dict[str, Skill]:
        known = {"quick": self._quick, "slow": self._slow, "patient": self._slow, "broken": self._broken, "away": self._away}
        return {n: Skill(name=n, description=f"{n} work", input=Input, output=str, run=known[n], patient=n == "patient") for n in names}

    async def _quick(self, context: SkillContext, given: Input) -> Any:
        self.begun.append(context.agent)
        return {"by": context.agent, "word": given.word, "knows": given.dependencies}

    async def _slow(self, context: SkillContext, given: Input) -> Any:
        self.begun.append(context.agent)
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.stopped.append(context.agent)
            raise
        return {"by": context.agent, "word": given.word}

    async def _broken(self, context: SkillContext, given: Input) -> Any:
        self.begun.append(context.agent)
        raise ZeroDivisionError("division by zero")

    async def _away(self, context: SkillContext, given: Input) -> Any:
        self.begun.append(context.agent)
        if len(self.begun) == 1:
            raise Unavailable("NATS is away")
        return {"by": context.agent}


class Inhabitant:
    """One agent: membership, affect, lessons and tasks, as the composition root puts them together."""

    def __init__(self, bus: Bus, name: str, instance: str, skills: Mapping[str, Skill], settings: AgentSettings) -> None:
        self.bus = bus
        self.members = Members(bus, name, instance, frozenset({"nexus", "aria", "ricardo"}))
        self.actor = Actor(bus, self.members.rank)
        learning = Learning(bus, name, self.members, self.actor.until)
        emotion = Emotion(bus, name, (0.0, 0.0, 0.0), self.members, self.actor.until)
        profile = AgentProfile(name, "tester", list(skills), [], [], "none")
        self.tasks = Tasks(bus, name, instance, profile, self.members, emotion, learning, Recall(bus), settings, self.actor.until)
        self.worker = Worker(self.tasks, skills)
        self.actor.protocols = (self.members, learning, emotion, self.tasks)
        self._profile = Profile(role="tester", skills=list(skills))
        self._life: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    @classmethod
    async def born(
        cls, bus_settings: BusSettings, name: str, skills: Mapping[str, Skill], instance: str = "1", settings: AgentSettings = SETTINGS
    ) -> Self:
        bus = await Bus.connect(bus_settings, name)
        agent = cls(bus, name, instance, skills, settings)
        agent._life = asyncio.create_task(agent._live(), name=name)
        await asyncio.wait_for(agent._ready.wait(), PATIENCE_S)
        return agent

    async def _live(self) -> None:
        service = Service(self.bus, "mesh", "test")
        try:
            async with asyncio.TaskGroup() as group:
                await self.members.listen()
                await self.actor.run(group)
                group.create_task(self.members.beat_for_ever(lambda: self._profile), name="beat")
                await self.actor.answer(service)
                await service.start()
                await self.worker.start(group)
                self._ready.set()
        finally:
            await service.stop()

    async def kill(self) -> None:
        """Cut it off first, so that nothing it does while it ends is heard."""
        await self.bus.nc.close()
        assert self._life is not None
        self._life.cancel()
        await asyncio.gather(self._life, return_exceptions=True)


class Mesh:
    """Inhabitants on one server, and somebody who asks."""

    def __init__(self, settings: BusSettings, bus: Bus, stack: AsyncExitStack) -> None:
        self.settings = settings
        self.bus = bus
        self._stack = stack

    async def agent(self, name: str, skills: Mapping[str, Skill], instance: str = "1", settings: AgentSettings = SETTINGS) -> Inhabitant:
        agent = await Inhabitant.born(self.settings, name, skills, instance, settings)
        self._stack.push_async_callback(agent.kill)
        return agent

    async def submit(self, task: str, **fields: Any) -> None:
        await self.bus.publish(subjects.TASK_SUBMITTED, Submission(**{"title": "Test", **fields}), task=task)

    async def ask(self, task: str, wait_s: float = 0.0) -> TaskDetail:
        """As anyone asks: an answerer that is not there this moment is asked again."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with contextlib.suppress(Unavailable, TimedOut):
                    found: TaskDetail = await self.bus.ask(subjects.ASK_TASK, Ask(id=task, wait_s=wait_s), timeout_s=wait_s + 5)
                    return found
                await asyncio.sleep(0.1)

    async def end(self, task: str) -> TaskDetail:
        return await self.until(task, lambda t: t.finished_at is not None, wait_s=1.0)

    async def until(self, task: str, met: Callable[[TaskDetail], bool], wait_s: float = 0.0) -> TaskDetail:
        async with asyncio.timeout(PATIENCE_S):
            while not met(found := await self.ask(task, wait_s)):
                await asyncio.sleep(0.05)
        return found


@pytest_asyncio.fixture
async def mesh(nats_url: str, prefix: str) -> AsyncIterator[Mesh]:
    async with existing(BusSettings(nats_url=nats_url, prefix=prefix)) as found:
        yield found


@asynccontextmanager
async def existing(settings: BusSettings) -> AsyncIterator[Mesh]:
    await streams.declare(settings)
    async with AsyncExitStack() as stack:
        bus = await Bus.connect(settings, "test")
        stack.push_async_callback(bus.close)
        yield Mesh(settings, bus, stack)


@pytest.fixture
def play() -> Performance:
    return Performance()


def moment(line: HistoryEntry) -> float:
    """When it stands in the log, in seconds."""
    return datetime.fromisoformat(line.at).timestamp()


def entries(task: TaskDetail, kind: str) -> list[str | None]:
    return [h.agent for h in task.history if h.entry == kind and h.ignored is None]


async def eventually(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not met():
            await asyncio.sleep(0.02)


class TestDistribution:
    async def test_a_task_is_done_once_by_who_can(self, mesh: Mesh, play: Performance) -> None:
        await mesh.agent("nexus", play.skills("quick"))
        await mesh.agent("aria", play.skills("slow"))
        await mesh.submit("t1", required_skills=["quick"], input={"word": "hello"})
        task = await mesh.end("t1")
        assert (task.status, task.assigned_to, task.result["word"]) == ("succeeded", "nexus", "hello")
        assert play.begun == ["nexus"]
        assert [h.entry for h in task.history if h.entry != "progress"] == ["submitted", "assigned", "result", "finished"]
        assert task.scores[0].agent == "nexus"
        assert task.scores[0].why.skill == 1.0

    async def test_many_tasks_share_the_agents(self, mesh: Mesh, play: Performance) -> None:
        for name in ("nexus", "aria", "ricardo"):
            await mesh.agent(name, play.skills("quick"))
        for n in range(30):
            await mesh.submit(f"t{n}", required_skills=["quick"])
        ends = [await mesh.end(f"t{n}") for n in range(30)]
        assert {e.status for e in ends} == {"succeeded"}
        assert {len(entries(e, "assigned")) for e in ends} == {1}
        assert len(play.begun) == 30
        page = await mesh.bus.ask(subjects.ASK_TASKS, TaskFilter(limit=20, status="succeeded"))
        rest = await mesh.bus.ask(subjects.ASK_TASKS, TaskFilter(limit=20, before=page.next_before))
        assert [t.task_id for t in [*page.tasks, *rest.tasks]] == [f"t{n}" for n in reversed(range(30))]
        assert rest.next_before is None

    async def test_a_skill_nobody_has_is_named(self, mesh: Mesh, play: Performance) -> None:
        await mesh.agent("nexus", play.skills("quick"))
        await mesh.submit("t1", required_skills=["quick", "juggling"])
        task = await mesh.end("t1")
        assert task.error is not None
        assert (task.status, task.assigned_to, task.error.code) == ("failed", None, "no_such_skill")
        assert "juggling" in task.error.message

    async def test_a_skill_of_somebody_who_is_gone_is_waited_for(self, mesh: Mesh, play: Performance) -> None:
        await mesh.agent("nexus", play.skills("quick"))
        aria = await mesh.agent("aria", play.skills("slow"))
        nobody = await mesh.agent("ricardo", {})
        await eventually(lambda: {"aria", "nexus"} <= set(nobody.members.present("tasks")))
        await aria.kill()
        await eventually(lambda: "aria" not in nobody.members.present("tasks"))
        await mesh.submit("t1", required_skills=["slow"])
        play.let_go.set()
        await mesh.agent("aria", play.skills("slow"), "2")
        assert (await mesh.end("t1")).assigned_to == "aria"

    async def test_an_unknown_task_is_not_found(self, mesh: Mesh, play: Performance) -> None:
        await mesh.agent("nexus", play.skills("quick"))
        for ident in ("nothing", "no token", "*", ">"):
            with pytest.raises(Refused) as e:
                await mesh.ask(ident)
            assert e.value.problem().status == 404

    async def test_malformed_entries_do_not_stand_in_the_way(self, mesh: Mesh, play: Performance) -> None:
        await mesh.bus.publish(subjects.TASK_PROGRESS, b"{no json", task="t1", agent="mallory")
        await mesh.submit("t1", required_skills=["quick"])
        await mesh.bus.publish(subjects.TASK_PROGRESS, b'{"fence": "many"}', task="t1", agent="mallory")
        await mesh.agent("nexus", play.skills("quick"))
        assert (await mesh.end("t1")).status == "succeeded"


class TestFailure:
    async def test_an_agent_that_dies_is_replaced_and_its_late_result_changes_nothing(self, mesh: Mesh, play: Performance) -> None:
        agents = {name: await mesh.agent(name, play.skills("slow")) for name in ("nexus", "aria")}
        await mesh.submit("t1", required_skills=["slow"])
        await eventually(lambda: bool(play.begun))
        first = play.begun[0]
        other = "aria" if first == "nexus" else "nexus"
        await agents[first].kill()
        await mesh.until("t1", lambda t: t.fence == 2 and t.status == "running")
        await mesh.bus.publish(subjects.TASK_RESULT, Result(fence=1, output="too late"), task="t1", agent=first)
        play.let_go.set()
        task = await mesh.end("t1")
        assert (task.status, task.assigned_to, task.result["by"]) == ("succeeded", other, other)
        late = next(h for h in task.history if h.entry == "result" and h.agent == first)
        assert late.ignored == "old fence 1, current is 2"

    async def test_another_instance_takes_over_what_one_held(self, mesh: Mesh, play: Performance) -> None:
        one = await mesh.agent("nexus", play.skills("slow"), "1")
        await mesh.submit("t1", required_skills=["slow"])
        await eventually(lambda: play.begun == ["nexus"])
        await mesh.agent("nexus", play.skills("slow"), "2")
        await one.kill()
        await eventually(lambda: play.begun == ["nexus", "nexus"])
        play.let_go.set()
        assert (await mesh.end("t1")).result["by"] == "nexus"

    async def test_a_skill_that_raises_is_tried_by_the_others_and_fails_in_the_end(self, mesh: Mesh, play: Performance) -> None:
        both = [await mesh.agent(name, play.skills("broken")) for name in ("nexus", "aria")]
        await eventually(lambda: all(len(a.members.present("tasks")) == 2 for a in both))
        await mesh.submit("t1", required_skills=["broken"])
        task = await mesh.end("t1")
        assert task.error is not None
        assert (task.status, task.error.code, task.error.message) == ("failed", "skill_error", "ZeroDivisionError: division by zero")
        assert len(play.begun) == 3
        assert set(play.begun[:2]) == {"nexus", "aria"}
        failed, assigned = ([moment(h) for h in task.history if h.entry == kind] for kind in ("failed", "assigned"))
        pauses = [after - before for before, after in zip(failed, assigned[1:], strict=False)]
        assert [p >= least for p, least in zip(pauses, (SETTINGS.retry_first_s, 2 * SETTINGS.retry_first_s), strict=True)] == [True, True]
        assert [h.body["reason"] for h in task.history if h.entry == "assigned"] == [
            None,
            "try 2 of 3, after skill_error",
            "try 3 of 3, after skill_error",
        ]

    async def test_what_a_skill_rests_on_may_be_away_for_a_moment_and_that_is_no_fault_of_the_skill(
        self, mesh: Mesh, play: Performance, caplog: pytest.LogCaptureFixture
    ) -> None:
        await mesh.agent("nexus", play.skills("away"))
        await mesh.submit("t1", required_skills=["away"])
        task = await mesh.end("t1")
        assert (task.status, [h.body["error"]["code"] for h in task.history if h.entry == "failed"]) == ("succeeded", ["unavailable"])
        assert [r.getMessage() for r in caplog.records if r.exc_info] == []

    async def test_work_that_hangs_is_ended_and_tried_by_the_others(self, mesh: Mesh, play: Performance) -> None:
        impatient = replace(SETTINGS, skill_timeout_s=0.5, retry_first_s=0.1)
        both = [await mesh.agent(name, play.skills("slow"), settings=impatient) for name in ("nexus", "aria")]
        await eventually(lambda: all(len(a.members.present("tasks")) == 2 for a in both))
        await mesh.submit("t1", required_skills=["slow"])
        task = await mesh.end("t1")
        assert task.error is not None
        assert (task.status, task.error.code, task.error.message) == ("failed", "timed_out", "slow was not done within 0.5 s")
        assert set(play.begun[:2]) == {"nexus", "aria"}
        assert play.stopped == play.begun

    async def test_who_waits_for_others_is_not_hurried(self, mesh: Mesh, play: Performance) -> None:
        await mesh.agent("nexus", play.skills("patient", "slow"), settings=replace(SETTINGS, skill_timeout_s=0.3, retry_first_s=0.0))
        await mesh.submit("waits", required_skills=["patient"])
        await mesh.submit("hangs", required_skills=["slow"])
        assert (await mesh.end("hangs")).status == "failed"
        assert (await mesh.ask("waits")).status == "running"
        play.let_go.set()
        assert (await mesh.end("waits")).status == "succeeded"

    async def test_bad_input_is_named_and_not_tried_again(self, mesh: Mesh, play: Performance) -> None:
        await mesh.agent("nexus", play.skills("quick"))
        await mesh.submit("t1", required_skills=["quick"], input={"word": 1})
        task = await mesh.end("t1")
        assert task.error is not None
        assert (task.error.code, task.error.retryable, play.begun) == ("bad_input", False, [])
        assert "$.word" in task.error.message

    async def test_a_cancel_stops_the_work(self, mesh: Mesh, play: Performance) -> None:
        await mesh.agent("nexus", play.skills("slow"))
        await mesh.submit("t1", required_skills=["slow"])
        await eventually(lambda: bool(play.begun))
        await mesh.bus.publish(subjects.TASK_CANCEL, Cancel(reason="enough"), task="t1", agent="gateway")
        task = await mesh.end("t1")
        assert task.error is not None
        assert (task.status, task.error.message) == ("cancelled", "enough")
        await eventually(lambda: play.stopped == ["nexus"])
        await mesh.bus.publish(subjects.TASK_RESULT, Result(fence=1, output="too late"), task="t1", agent="nexus")
        late = await mesh.until("t1", lambda t: t.history[-1].entry == "result")
        assert (late.status, late.result, late.history[-1].ignored) == ("cancelled", None, "after the end: cancelled")

    async def test_a_task_whose_time_is_over_expires_and_stops(self, mesh: Mesh, play: Performance) -> None:
        await mesh.agent("nexus", play.skills("slow"))
        await mesh.submit("t1", required_skills=["slow"], timeout_s=1.0)
        assert (await mesh.end("t1")).status == "expired"
        await eventually(lambda: play.stopped == play.begun)

    async def test_work_goes_on_after_its_consumer_was_deleted(self, mesh: Mesh, play: Performance) -> None:
        await mesh.agent("nexus", play.skills("quick"))
        await mesh.submit("t1", required_skills=["quick"])
        await mesh.end("t1")
        await mesh.bus.js.delete_consumer(mesh.bus.stream(subjects.MESH), "work-nexus")
        await mesh.submit("t2", required_skills=["quick"])
        assert (await mesh.end("t2")).status == "succeeded"
        assert len(play.begun) == 2

    async def test_work_goes_on_when_the_server_has_been_away(self, tmp_path: Path, play: Performance) -> None:
        server = NatsServer(tmp_path / "nats", tmp_path / "nats.log")
        async with running(server), existing(BusSettings(nats_url=server.url, prefix="away")) as mesh:
            await mesh.agent("nexus", play.skills("slow", "quick"))
            await mesh.submit("t1", required_skills=["slow"])
            await eventually(lambda: bool(play.begun))
            await server.stop()
            play.let_go.set()
            await server.start()
            await eventually(lambda: mesh.bus.connected)
            await mesh.submit("t2", required_skills=["quick"])
            assert [(await mesh.end(t)).status for t in ("t1", "t2")] == ["succeeded", "succeeded"]

    async def test_no_more_is_worked_on_at_a_time_than_there_is_room_for(self, mesh: Mesh, play: Performance) -> None:
        nexus = await mesh.agent("nexus", play.skills("slow"))
        for n in range(5):
            await mesh.submit(f"t{n}", required_skills=["slow"], priority=n)
        await eventually(lambda: len(play.begun) >= nexus.tasks.capacity())
        assert nexus.worker.load() == 1.0
        assert len(play.begun) <= SETTINGS.task_concurrency
        play.let_go.set()
        assert {(await mesh.end(f"t{n}")).status for n in range(5)} == {"succeeded"}
        assert len(play.begun) == 5


class TestComposite:
    PARTS = (
        Subtask(id="a", title="A", required_skills=["quick"], input={"word": "one"}),
        Subtask(id="b", title="B", required_skills=["quick"], depends_on=["a"]),
    )

    async def test_its_parts_are_done_in_order_and_hand_on_what_they_made(self, mesh: Mesh, play: Performance) -> None:
        for name in ("nexus", "aria"):
            await mesh.agent(name, play.skills("quick"))
        await mesh.submit("whole", subtasks=list(self.PARTS))
        task = await mesh.end("whole")
        assert (task.status, task.assigned_to) == ("succeeded", None)
        assert task.result["a"]["word"] == "one"
        assert task.result["b"]["knows"]["a"]["word"] == "one"
        assert len(play.begun) == 2

    async def test_a_part_that_fails_ends_it(self, mesh: Mesh, play: Performance) -> None:
        await mesh.agent("nexus", play.skills("quick", "slow"))
        bad = Subtask(id="bad", title="Bad", required_skills=["quick"], input={"word": 1})
        parts = [bad, Subtask(id="long", title="Long", required_skills=["slow"])]
        await mesh.submit("whole", subtasks=parts)
        task = await mesh.end("whole")
        assert task.error is not None
        assert (task.status, task.error.code) == ("failed", "bad_input")
        assert task.error.message.startswith("subtask bad: ")
        await eventually(lambda: play.stopped == [a for a in play.begun if a])
        page = await mesh.bus.ask(subjects.ASK_TASKS, TaskFilter())
        assert {t.status for t in page.tasks} == {"failed", "cancelled"}


class TestSkillsAcrossAgents:
    async def test_each_skill_is_a_part_for_who_has_it_and_the_output_is_by_skill(self, mesh: Mesh, play: Performance) -> None:
        nexus = await mesh.agent("nexus", play.skills("quick"))
        await mesh.agent("aria", play.skills("slow"))
        await eventually(lambda: set(nexus.members.present("tasks")) == {"nexus", "aria"})
        play.let_go.set()
        await mesh.submit("whole", required_skills=["slow", "quick"], input={"word": "both", "quick": {"word": "own"}})
        task = await mesh.end("whole")
        assert (task.status, task.assigned_to) == ("succeeded", None)
        assert {skill: (done["by"], done["word"]) for skill, done in task.result.items()} == {
            "slow": ("aria", "both"),
            "quick": ("nexus", "own"),
        }
        assert [(s.skill, s.agent) for s in task.scores] == [("slow", "aria"), ("quick", "nexus")]
        assert [h.entry for h in task.history] == ["submitted", "split", "finished"]

    async def test_an_agent_that_has_them_all_does_it_alone(self, mesh: Mesh, play: Performance) -> None:
        await mesh.agent("nexus", play.skills("quick"))
        both = await mesh.agent("aria", play.skills("quick", "slow"))
        await eventually(lambda: set(both.members.present("tasks")) == {"nexus", "aria"})
        play.let_go.set()
        await mesh.submit("whole", required_skills=["quick", "slow"])
        task = await mesh.end("whole")
        assert (task.status, task.assigned_to) == ("succeeded", "aria")
        assert {skill: done["by"] for skill, done in task.result.items()} == {"quick": "aria", "slow": "aria"}


class TestTheft:
    async def test_an_idle_agent_takes_what_another_has_not_begun(self, mesh: Mesh, play: Performance) -> None:
        aria = await mesh.agent("aria", play.skills("quick"), settings=replace(SETTINGS, lease_s=60.0, steal_after_s=0.5))
        aria._profile = replace(aria._profile, load=0.9)  # so that ops gets it first
        async with external(mesh, "quick") as ops:
            await eventually(
                lambda: aria.members.present("tasks").get("aria", Profile()).load == 0.9 and "ops" in aria.members.present("tasks")
            )
            assert (await ops.assignment({"title": "Do it", "required_skills": ["quick"], "timeout_s": 300}))["fence"] == 1
            task = await mesh.end("t9")
            await ops.say("result", {"fence": 1, "output": "too late"})
            late = await mesh.until("t9", lambda t: t.history[-1].entry == "result")
        assert (task.status, task.assigned_to, entries(task, "assigned")) == ("succeeded", "aria", ["ops", "aria"])
        theft = next(h for h in task.history if h.entry == "assigned" and h.agent == "aria")
        assert (theft.body["fence"], theft.body["stolen_from"]) == (2, "ops")
        assert theft.body["reason"] == "ops has not begun it within 0.5 s, and aria is idle"
        assert late.result["by"] == "aria"


class TestByHand:
    async def test_an_external_agent_takes_a_task_with_bare_json(self, mesh: Mesh, play: Performance) -> None:
        await mesh.agent("nexus", play.skills("quick"))
        async with external(mesh) as ops:
            assignment = await ops.assignment({"title": "Deploy it", "required_skills": ["deploy"]})
            assert (assignment["fence"], assignment["task"]["title"], assignment["skill"]) == (1, "Deploy it", "deploy")
            await ops.say("progress", {"fence": 1, "fraction": 0.5})
            assert (await mesh.until("t9", lambda t: t.fraction == 0.5)).status == "running"
            await ops.say("result", {"fence": 1, "output": {"url": "https://example.org"}})
            task = await mesh.end("t9")
        assert (task.status, task.assigned_to, task.result) == ("succeeded", "ops", {"url": "https://example.org"})

    async def test_an_external_agent_that_falls_silent_loses_its_lease(self, mesh: Mesh, play: Performance) -> None:
        await mesh.agent("nexus", play.skills("quick"))
        async with external(mesh) as ops:
            await ops.assignment({"title": "Deploy it", "required_skills": ["deploy"]})
            task = await mesh.until("t9", lambda t: t.fence == 2)
            await ops.say("result", {"fence": 1, "output": "late"})
            await mesh.bus.publish(subjects.TASK_PROGRESS, Progress(fence=2), task="t9", agent="ops")
            await ops.say("result", {"fence": 2, "output": "in time"})
            task = await mesh.end("t9")
        assert task.result == "in time"


class External:
    """An agent that knows NATS and JSON, and nothing of ours."""

    def __init__(self, prefix: str, nc: Client) -> None:
        self._prefix = prefix
        self._nc = nc

    async def beat(self, skill: str) -> None:
        profile = json.dumps({"role": "site_reliability", "skills": [skill]}).encode()
        while True:
            await self._nc.publish(f"$KV.{self._prefix}_presence.ops.1", profile)
            await asyncio.sleep(0.5)

    async def assignment(self, task: dict[str, Any]) -> Any:
        sub = await self._nc.subscribe(f"{self._prefix}.log.mesh.task.*.assigned.ops")
        await self._nc.flush()
        await self._nc.publish(f"{self._prefix}.mesh.task.t9.submitted", json.dumps(task).encode())
        return json.loads((await sub.next_msg(timeout=PATIENCE_S)).data)

    async def say(self, what: str, body: dict[str, Any]) -> None:
        await self._nc.publish(f"{self._prefix}.mesh.task.t9.{what}.ops", json.dumps(body).encode())
        await self._nc.flush()


@asynccontextmanager
async def external(mesh: Mesh, skill: str = "deploy") -> AsyncIterator[External]:
    nc = await nats.connect(mesh.settings.nats_url)
    ops = External(mesh.settings.prefix, nc)
    beat = asyncio.create_task(ops.beat(skill), name="beat of ops")
    try:
        yield ops
    finally:
        beat.cancel()
        await nc.close()


class TestRealSkills:
    @pytest.mark.parametrize(
        ("skill", "given", "field"),
        [
            ("strategic_planning", {"tasks": [{"id": "a", "estimate": 2}]}, "critical_path"),
            ("infrastructure_management", {}, "advice"),
            ("debugging", {"traceback": "KeyError: 'user'"}, "diagnosis"),
        ],
    )
    async def test_they_work_as_tasks(self, mesh: Mesh, skill: str, given: dict[str, Any], field: str) -> None:
        await mesh.agent("nexus", SKILLS_HERE)
        await mesh.submit("t1", required_skills=[skill], input=given)
        task = await mesh.end("t1")
        assert (task.status, task.error) == ("succeeded", None)
        assert task.result[field]

    async def test_one_that_needs_a_language_model_says_so(self, mesh: Mesh) -> None:
        await mesh.agent("nexus", SKILLS_HERE)
        await mesh.submit("t1", required_skills=["code_generation"])
        task = await mesh.end("t1")
        assert task.error is not None
        assert (task.status, task.error.code, task.error.retryable) == ("failed", "needs_language_model", False)

    async def test_what_was_remembered_is_found_cited_and_connected(self, mesh: Mesh, new_database: str, redis_url: str) -> None:
        async with memory(mesh, MemorySettings(postgres_dsn=new_database, redis_url=redis_url, embedding="none")):
            first = await remember(mesh, "The migration failed because the lock timed out.", fix="raise lock_timeout")
            second = await remember(mesh, f"The migration was repeated at night, see {first}.")
            await mesh.agent("aria", SKILLS_HERE)
            answer = await result(mesh, "knowledge_synthesis", {"question": "Why did the migration fail?"})
            assert answer["citations"][0]["id"] == first
            graph = await result(mesh, "cross_reference_analysis", {"id": second})
            assert {"source": second, "target": first, "kind": "mentions", "detail": ""} in graph["edges"]
            assert [second, first] in graph["paths"]
            assert "task.assigned" not in {n["text"].split()[0] for n in graph["nodes"]}
            found = await result(mesh, "debugging", {"traceback": "LockTimeoutError: migration failed, lock timed out"})
            assert f"episode {first}" in found["diagnosis"][0]["evidence"]
            state = await result(mesh, "infrastructure_management", {})
            assert (state["postgres"]["status"], state["redis"]["status"]) == ("healthy", "healthy")
            assert {"mesh", "work-aria"} & {c["name"] for c in state["consumers"]}


@asynccontextmanager
async def memory(mesh: Mesh, settings: MemorySettings) -> AsyncIterator[None]:
    ready, stop = asyncio.Event(), asyncio.Event()
    life = asyncio.create_task(run_memory(mesh.settings, settings, ready.set, stop), name="memory")
    try:
        await asyncio.wait_for(ready.wait(), PATIENCE_S)
        yield
    finally:
        stop.set()
        await life


async def remember(mesh: Mesh, text: str, **details: str) -> str:
    action = Action(action_type="note", action_details={"text": text, **details})
    stored = await mesh.bus.publish(subjects.EPISODE, action, agent="nexus")
    await mesh.bus.ask(subjects.MEMORY_AWAIT, Await(id=stored.event_id), timeout_s=PATIENCE_S)
    return stored.event_id


async def result(mesh: Mesh, skill: str, given: dict[str, Any]) -> Any:
    await mesh.submit(skill, required_skills=[skill], input=given)
    task = await mesh.end(skill)
    assert task.error is None
    return task.result


SKILLS_HERE = {name: skill for name, skill in SKILLS.items() if name not in {"priority_setting", "final_approval"}}
