"""Agents by the SDK in a running mesh: what the wire contract does not show of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from agents.settings import AgentSettings
from bus import subjects
from bus.connection import Bus
from bus.errors import CerebroError
from bus.log import entries
from bus.settings import BusSettings
from cerebro_agent import Affect, Agent, Lesson, NameTaken, Proposal, Reply, Task, Unavailable
from cerebro_agent.task import SIGNS_PER_LEASE
from schemas.emotion import Affect as Felt
from schemas.entry import Entry
from schemas.learning import Lesson as Told
from schemas.members import Ask, AskAll
from schemas.tasks import Cancel, InputAnswer, Progress, Submission, TaskDetail
from tests.integration import rest
from tests.integration.nexus import nexus

SETTINGS = AgentSettings(lease_s=2.0, progress_s=0.4)
PATIENCE_S = 30.0
"""Longest wait for anything; never the measure of a test."""


class Mesh:
    """A mesh of nexus alone, and somebody on its bus."""

    def __init__(self, settings: BusSettings, bus: Bus) -> None:
        self.settings = settings
        self.bus = bus

    def agent(self, name: str, **more: Any) -> Agent:
        """The one place where this module's agents get their server."""
        return Agent(name, **{"role": "tester", **more}, nats_url=self.settings.nats_url, prefix=self.settings.prefix)

    async def submit(self, task: str, **fields: Any) -> None:
        await self.bus.publish(subjects.TASK_SUBMITTED, Submission(**{"title": task, **fields}), task=task)

    async def ended(self, task: str) -> TaskDetail:
        async def look() -> TaskDetail | None:
            found: TaskDetail = await self.bus.ask(subjects.ASK_TASK, Ask(id=task))
            return found if found.finished_at else None

        found: TaskDetail = await eventually(look)
        return found

    async def progress(self, task: str, agent: str) -> list[Progress]:
        found = await entries(self.bus, [subjects.TASK_PROGRESS.subject(task=task, agent=agent)])
        return [e.body for e in found if isinstance(e, Entry)]


async def eventually(met: Callable[[], Awaitable[Any]]) -> Any:
    return await rest.eventually(met, PATIENCE_S, (CerebroError,))


@pytest_asyncio.fixture
async def mesh(nats_url: str, prefix: str) -> AsyncIterator[Mesh]:
    settings = BusSettings(nats_url=nats_url, prefix=prefix, log_bytes_max=64 * 1024**2)
    async with nexus(settings, SETTINGS):
        bus = await Bus.connect(settings, "looker")
        yield Mesh(settings, bus)
        await bus.close()


async def test_a_skill_may_ask_and_goes_on_with_the_answer(mesh: Mesh) -> None:
    agent = mesh.agent("asker", concurrency=1)

    @agent.skill()
    async def greet(task: Task) -> str:
        return f"hello {await task.ask('who is there?')}"

    @agent.skill()
    async def count(number: int) -> int:
        return number

    async with agent.running():
        await mesh.submit("t1", required_skills=["greet"])

        async def asked() -> bool:
            return any(p.state == "input_required" for p in await mesh.progress("t1", "asker"))

        await eventually(asked)
        await mesh.submit("t2", required_skills=["count"], input={"number": 2})
        assert (await mesh.ended("t2")).result == 2, "who waits for an answer has room for others"
        await mesh.bus.publish(subjects.TASK_INPUT, InputAnswer(message="Ada"), task="t1", agent="tester")
        assert (await mesh.ended("t1")).result == "hello Ada"
    questions = [p for p in await mesh.progress("t1", "asker") if p.state == "input_required"]
    assert {p.message for p in questions} == {"who is there?"}


async def test_a_skill_gives_artifacts_progress_and_a_message_beside_its_result(mesh: Mesh) -> None:
    agent = mesh.agent("maker")

    @agent.skill()
    async def report(task: Task) -> Reply:
        await task.progress(fraction=0.5, message="half")
        await task.artifact("report", [{"text": "first"}])
        await task.artifact("report", [{"text": "last"}], append=True, last=True)
        return Reply(output={"pages": 2}, parts=[{"text": "two pages"}])

    async with agent.running():
        await mesh.submit("t1", required_skills=["report"])
        assert (await mesh.ended("t1")).result == {"pages": 2}
    told = await mesh.progress("t1", "maker")
    assert [(a.parts, a.append, a.last) for p in told if (a := p.artifact)] == [
        ([{"text": "first"}], False, False),
        ([{"text": "last"}], True, True),
    ]
    assert [(p.fraction, p.message) for p in told if p.fraction] == [(0.5, "half")]
    [result] = await entries(mesh.bus, [subjects.TASK_RESULT.subject(task="t1")])
    assert isinstance(result, Entry)
    assert result.body.message == {"parts": [{"text": "two pages"}]}


async def test_several_required_skills_are_performed_in_turn(mesh: Mesh) -> None:
    agent = mesh.agent("both")

    @agent.skill()
    async def build(release: int) -> str:
        return f"release {release}"

    @agent.skill()
    async def deploy(release: int, hosts: int) -> int:
        return hosts

    async with agent.running():
        await mesh.submit("t1", required_skills=["build", "deploy"], input={"release": 42, "deploy": {"hosts": 3}})
        assert (await mesh.ended("t1")).result == {"build": "release 42", "deploy": 3}


async def test_a_plain_function_and_one_that_breaks(mesh: Mesh) -> None:
    agent = mesh.agent("breaker")

    @agent.skill()
    def halve(number: int) -> float:
        return number / 2

    @agent.skill()
    async def divide(by: int) -> float:
        return 1 / by

    async with agent.running():
        await mesh.submit("t1", required_skills=["halve"], input={"number": 3})
        await mesh.submit("t2", required_skills=["divide"], input={"by": 0})
        assert (await mesh.ended("t1")).result == 1.5
        error = (await mesh.ended("t2")).error
    assert error is not None
    assert (error.code, error.message, error.retryable) == ("skill_error", "ZeroDivisionError: division by zero", True)


async def test_what_the_server_hands_out_again_is_not_performed_again(mesh: Mesh) -> None:
    agent = mesh.agent("stalled")
    begun: list[str] = []

    @agent.skill()
    async def stall(task: Task) -> int:
        begun.append(task.task_id)
        time.sleep(1.4)  # longer than the server waits for a sign of life, shorter than the lease
        await asyncio.sleep(1.5)  # in which what was handed out again comes
        return len(begun)

    async with agent.running():
        await mesh.submit("t1", required_skills=["stall"])
        assert (await mesh.ended("t1")).result == 1
    assert begun == ["t1"]


async def test_what_ends_in_the_moment_of_a_sign_of_life_is_let_go(mesh: Mesh) -> None:
    agent = mesh.agent("punctual", concurrency=64)
    tasks = [f"t{n}" for n in range(60)]

    @agent.skill()
    async def nap() -> int:
        await asyncio.sleep(SETTINGS.lease_s / SIGNS_PER_LEASE)
        return 1

    async with agent.running():
        for task in tasks:
            await mesh.submit(task, required_skills=["nap"])
        for task in tasks:
            assert (await mesh.ended(task)).result == 1

        async def let_go() -> bool:
            stream, consumer = mesh.bus.stream(subjects.MESH), mesh.settings.work_consumer("punctual")
            info = await mesh.bus.api(f"CONSUMER.INFO.{stream}.{consumer}", {})
            return bool(info["num_ack_pending"] == 0)

        await eventually(let_go)


async def test_a_skill_that_is_cancelled_may_take_its_time_to_clean_up(mesh: Mesh) -> None:
    agent, begun, cleaned = mesh.agent("tidy"), asyncio.Event(), asyncio.Event()

    @agent.skill()
    async def hold() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.5)
            cleaned.set()

    async with agent.running():
        await mesh.submit("t1", required_skills=["hold"])
        await asyncio.wait_for(begun.wait(), PATIENCE_S)
        await mesh.bus.publish(subjects.TASK_CANCEL, Cancel(reason="not needed"), task="t1", agent="tester")
        await asyncio.wait_for(cleaned.wait(), PATIENCE_S)
    assert (await mesh.ended("t1")).status == "cancelled"


async def test_two_instances_share_the_tasks_and_one_that_stops_gives_its_work_to_the_other(mesh: Mesh) -> None:
    begun: list[str] = []
    one, other = mesh.agent("twin", concurrency=1), mesh.agent("twin", concurrency=1)
    let_go = asyncio.Event()

    def performer(which: str) -> Callable[[], Awaitable[str]]:
        async def wait() -> str:
            begun.append(which)
            await let_go.wait()
            return which

        return wait

    for which, agent in (("one", one), ("other", other)):
        agent.skill("wait")(performer(which))
    async with other.running():
        async with one.running():
            await mesh.submit("t1", required_skills=["wait"])
            await mesh.submit("t2", required_skills=["wait"])

            async def both_work() -> bool:
                return sorted(begun) == ["one", "other"]

            await eventually(both_work)
        let_go.set()
        assert {(await mesh.ended("t1")).result, (await mesh.ended("t2")).result} == {"other"}


async def test_a_second_agent_of_another_kind_is_told_that_its_name_is_taken(mesh: Mesh) -> None:
    first, second = mesh.agent("ops", role="first"), mesh.agent("ops", role="second")
    first.vote(lambda _: None)
    second.vote(lambda _: None)
    async with first.running():

        async def joined() -> bool:
            found = await mesh.bus.ask(subjects.ASK_AGENTS, AskAll())
            return "ops" in found.agents

        await eventually(joined)
        with pytest.raises(NameTaken, match="role first"):
            await asyncio.wait_for(second.serve(asyncio.Event()), PATIENCE_S)
        assert (await mesh.bus.ask(subjects.ASK_AGENTS, AskAll())).agents["ops"].role == "first"


async def test_a_lesson_that_cannot_be_learned_now_is_given_again(mesh: Mesh) -> None:
    agent, given = mesh.agent("learner"), list[str]()

    @agent.on_lesson
    async def learn(lesson: Lesson) -> None:
        given.append(lesson.topic)
        if len(given) == 1:
            raise OSError("the disk is full")

    async with agent.running():
        await mesh.bus.publish(subjects.LESSON, Told(topic="t", content="c"), agent="nexus")

        async def integrated() -> bool:
            return bool(await entries(mesh.bus, [subjects.INTEGRATED.subject(agent="learner")]))

        await eventually(integrated)
    assert given == ["t", "t"]


async def test_a_judge_that_fails_or_chooses_what_is_no_option_does_not_vote(mesh: Mesh) -> None:
    agent = mesh.agent("judge")
    judged: list[str] = []

    @agent.vote
    async def judge(proposal: Proposal) -> str:
        judged.append(proposal.title)
        if proposal.title == "fail":
            raise ValueError("no idea")
        return "maybe" if proposal.title == "invent" else "approve"

    async with agent.running():
        for title in ("fail", "invent", "good"):
            proposed = await agent.propose(title, electorate=["judge"], timeout_s=20)

        async def decided() -> bool:
            found = await mesh.bus.ask(subjects.ASK_PROPOSAL, Ask(id=proposed))
            return bool(found.status == "accepted")

        await eventually(decided)
    assert judged == ["fail", "invent", "good"]
    votes = await entries(mesh.bus, [subjects.VOTE.subject(agent="judge")])
    assert [e.body.choice for e in votes if isinstance(e, Entry)] == ["approve"]


async def test_it_hears_what_others_feel_and_says_what_it_feels(mesh: Mesh) -> None:
    agent, heard = mesh.agent("feeler"), dict[str, Affect]()

    @agent.on_affect
    async def hear(who: str, affect: Affect) -> None:
        heard[who] = affect

    async with agent.running():
        await mesh.bus.publish(subjects.AFFECT, Felt(valence=0.5, arousal=0.1, dominance=0.2, cause="a good day"), agent="other")

        async def came() -> bool:
            return "other" in heard

        await eventually(came)
        await agent.feel(Affect(valence=-0.5, arousal=0.3, dominance=0.0, cause="on call"))

        async def shown() -> bool:
            found = await mesh.bus.ask(subjects.ASK_AFFECT, AskAll())
            return "feeler" in found.agents and found.agents["feeler"].cause == "on call"

        await eventually(shown)
    assert (heard["other"].valence, heard["other"].cause) == (0.5, "a good day")


async def test_it_tells_and_asks_by_itself(mesh: Mesh) -> None:
    agent = mesh.agent("teller")
    agent.on_lesson(lambda _: None)
    with pytest.raises(Unavailable):
        await agent.teach("t", "c")
    async with agent.running():
        lesson = await agent.teach("disk alerts", "Alert on the growth rate.", tags=["disk"])

        async def integrated() -> bool:
            return bool("nexus" in (await agent.ask("ask.lesson", {"id": lesson}))["integrated_by"])

        await eventually(integrated)
        episode = await agent.remember("rollout", {"text": "twelve hosts"}, tags=["release"])
        task = await agent.submit("Juggle", required_skills=["juggling"])
        assert (await mesh.ended(task)).status == "failed"
    [stored] = await entries(mesh.bus, [subjects.EPISODE.subject(agent="teller")])
    assert stored.event_id == episode
