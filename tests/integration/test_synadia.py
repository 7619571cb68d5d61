"""The Synadia Agent Protocol, by its own packages as they are: their client prompts the mesh, and what they host becomes a member."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import nats
import nats.micro
import pytest
import pytest_asyncio
from nats.aio.client import Client
from synadia_ai.agent_service import AgentService, PromptStream
from synadia_ai.agents import Agent, Agents, Attachment, Envelope, ProtocolError, Query, ResponseChunk, StatusChunk

from agents.main import Agent as Builtin
from agents.profiles import load
from agents.settings import AgentSettings
from agents.synadia import rules
from agents.synadia.settings import BridgeSettings
from bus import presence, streams, subjects
from bus.cancelling import end
from bus.connection import Bus
from bus.errors import CerebroError
from bus.ids import uuid7
from bus.settings import BusSettings
from schemas.members import Ask, AskAll, Profile
from schemas.messages import message
from schemas.synadia import Heartbeat
from schemas.tasks import Artifact, Assignment, Cancel, Failure, InputAnswer, Progress, Result, Submission, TaskDetail, TaskError
from tests.integration.launched import Up

pytestmark = pytest.mark.asyncio(loop_scope="module")
PAGE = Path(__file__).parents[2] / "docs" / "synadia.md"
PATIENCE_S = 30.0
"""Longest wait for anything; never the measure of a test."""
TRACEBACK = """Traceback (most recent call last):
  File "/srv/app/orders.py", line 42, in total
    return prices[item] * count
KeyError: 'apple'
"""


async def connected(**options: Any) -> Client:
    """A connection as a client of the mesh has it: every one of this module is made here."""
    return await nats.connect(**options)


async def until(look: Callable[[], Any]) -> Any:
    """The first truthy thing that `look` returns."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                if found := await look():
                    return found
            except CerebroError:
                pass  # not there yet
            await asyncio.sleep(0.05)


class Mesh:
    """The three built-in agents in this process, on a log of their own, and a connection of the test."""

    def __init__(self, bus: Bus, agents: dict[str, asyncio.Task[None]], nc: Client) -> None:
        self.bus = bus
        self.agents = agents
        self.nc = nc

    async def agent(self, client: Agents, name: str) -> Agent:
        """The agent of this mesh that the client finds under this name."""

        async def look() -> Agent | None:
            found = await client.discover(timeout=0.3)
            return next((a for a in found if a.agent == name and a.session_name == self.bus.settings.prefix), None)

        found: Agent = await until(look)
        return found

    async def member(self, name: str) -> Any:
        async def look() -> Any:
            seen = (await self.bus.ask(subjects.ASK_AGENTS, AskAll())).agents.get(name)
            return seen if seen is not None and seen.status == "active" else None

        return await until(look)

    async def gone(self, name: str) -> None:
        """Return when it is no member; it is listed for a while where its coming was logged before it went."""

        async def look() -> bool:
            seen = (await self.bus.ask(subjects.ASK_AGENTS, AskAll())).agents.get(name)
            return seen is None or (seen.status, seen.instances) == ("gone", 0)

        await until(look)

    async def submit(self, **fields: Any) -> str:
        ident = uuid7()
        await self.bus.publish(subjects.TASK_SUBMITTED, Submission(title="Say it", **fields), msg_id=ident, task=ident)
        return ident

    async def task(self, ident: str, met: Callable[[TaskDetail], bool] = lambda t: t.finished_at is not None) -> TaskDetail:
        async def look() -> TaskDetail | None:
            seen: TaskDetail = await self.bus.ask(subjects.ASK_TASK, Ask(id=ident))
            return seen if met(seen) else None

        found: TaskDetail = await until(look)
        return found


@asynccontextmanager
async def meshed(url: str, prefix: str, bridge: BridgeSettings) -> AsyncIterator[Mesh]:
    settings = BusSettings(nats_url=url, prefix=prefix, log_bytes_max=64 * 1024**2)
    await streams.declare(settings)
    profiles = load("")
    bus, nc = await Bus.connect(settings, "test"), await connected(servers=url)
    connections, agents = [bus], {}
    for name, profile in profiles.items():
        ready = asyncio.Event()
        connections.append(await Bus.connect(settings, name))
        agent = Builtin(connections[-1], profile, AgentSettings(), bridge, frozenset(profiles))
        agents[name] = asyncio.create_task(agent.run(ready.set, asyncio.Event()), name=name)
        await ready.wait()
    try:
        yield Mesh(bus, agents, nc)
    finally:
        await end(*agents.values())
        await asyncio.gather(*agents.values(), return_exceptions=True)
        for stream in streams.declared(bus):
            await bus.api(f"STREAM.DELETE.{stream['name']}", {})
        await nc.close()
        for connection in connections:
            await connection.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(nats_url: str) -> AsyncIterator[Mesh]:
    bridge = BridgeSettings(heartbeat_s=1, prompts_max=2, keep_alive_s=0.2, prompt_bytes_max=20_000, answer_timeout_s=10)
    async with meshed(nats_url, f"t{uuid7()[-10:]}", bridge) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(mesh: Mesh) -> AsyncIterator[Agents]:
    agents = Agents(nc=mesh.nc)
    yield agents
    await agents.close()


class Reply:
    """All that came back on a prompt."""

    def __init__(self) -> None:
        self.text = ""
        self.statuses: list[str] = []
        self.attachments: list[Attachment] = []

    @classmethod
    async def to(cls, agent: Agent, prompt: str | Envelope, answer: str = "", **options: Any) -> "Reply":
        reply = cls()
        async for chunk in agent.prompt(prompt, **options):
            if isinstance(chunk, ResponseChunk):
                reply.text += chunk.text
                reply.attachments += chunk.attachments or []
            elif isinstance(chunk, StatusChunk):
                reply.statuses.append(chunk.status)
            elif isinstance(chunk, Query):
                reply.statuses.append(f"asked {chunk.prompt}")
                await chunk.reply(answer)
        return reply


class TestTheMeshAsItComes:
    async def test_its_agents_stand_on_the_default_subjects_and_answer(self, up: Up) -> None:
        nc = await connected(**up.admitted("caller"))
        agents = Agents(nc=nc)
        try:
            found = {a.prompt_subject: a for a in await agents.discover(timeout=1)}
            assert {f"agents.prompt.{name}.cerebro.main" for name in ("nexus", "aria", "ricardo")} <= set(found)
            nexus = found["agents.prompt.nexus.cerebro.main"]
            assert "apple" in (await Reply.to(nexus, TRACEBACK)).text
            assert 0 < (await nexus.status()).interval_s <= 5
            asked = await Reply.to(found["agents.prompt.aria.cerebro.main"], "What do you remember of the zeppelin?")
            assert "remember" in asked.text or "zeppelin" in asked.text
        finally:
            await agents.close()
            await nc.close()

    async def test_the_example_of_its_page_runs(self, up: Up, tmp_path: Path) -> None:
        (example, *_) = re.findall(r"```python\n(.+?)```", PAGE.read_text(), re.DOTALL)
        (tmp_path / "traceback.txt").write_text(TRACEBACK)
        key = up.admitted("ops")["nkeys_seed"]
        code = example.replace("nats://127.0.0.1:4222", up.run.nats).replace(".cerebro/keys/ops.nk", key)
        running = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=tmp_path, stdout=asyncio.subprocess.PIPE)
        told, _ = await asyncio.wait_for(running.communicate(), PATIENCE_S)
        assert (running.returncode, "apple" in told.decode()) == (0, True)


class TestPrompts:
    async def test_a_traceback_is_diagnosed_by_nexus(self, mesh: Mesh, client: Agents) -> None:
        reply = await Reply.to(await mesh.agent(client, "nexus"), f"This came up:\n{TRACEBACK}")
        assert reply.statuses[0] == "ack"
        assert reply.text.startswith("1. ")
        assert "apple" in reply.text

    async def test_the_skill_may_be_named_and_its_input_be_json(self, mesh: Mesh, client: Agents) -> None:
        ricardo = await mesh.agent(client, "ricardo")
        plan = '{"tasks": [{"id": "a", "estimate": 2}, {"id": "b", "estimate": 3, "depends_on": ["a"]}]}'
        for prompt in (plan, Envelope(prompt=plan, metadata={"skill": "strategic_planning"})):
            reply = await Reply.to(ricardo, prompt)
            assert '"critical_path"' in reply.text
            assert '"length": 5' in reply.text

    @pytest.mark.parametrize(
        ("agent", "prompt", "code", "words"),
        [
            ("ricardo", "Hello!", "400", "this can be understood: the input of"),
            ("nexus", "Hello!", "400", "a Python traceback (debugging)"),
            ("nexus", "Write the code of a function", "409", "needs a language model"),
            ("nexus", Envelope(prompt="x", metadata={"skill": "juggling"}), "404", "juggling"),
            ("nexus", Envelope(prompt="x", metadata={"skill": "a b"}), "400", "$.metadata.skill"),
            ("ricardo", Envelope(prompt='{"tasks": 5}', metadata={"skill": "strategic_planning"}), "400", "$.tasks"),
        ],
    )
    async def test_what_cannot_be_done_is_an_error_with_a_code(
        self, mesh: Mesh, client: Agents, agent: str, prompt: str | Envelope, code: str, words: str
    ) -> None:
        with pytest.raises(ProtocolError, match=f"service error {code}") as refused:
            await Reply.to(await mesh.agent(client, agent), prompt)
        assert words in str(refused.value)

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (b"", "Expected `str` of length >= 1"),
            (b'{"prompt": 5}', "$.prompt"),
            (b'{"prompt"', "truncated"),
            (b"\xff\xfe", "utf-8"),
            (b"x" * 20_001, "at most 20000 are taken"),
            (b'{"prompt": "x", "attachments": [{"filename": "a.txt", "content": "YQ=="}]}', "takes no attachments"),
            (b'{"prompt": "x", "attachments": [{"filename": "../a", "content": "YQ=="}]}', "plain file name"),
            (b'{"prompt": "x", "attachments": [{"filename": "a", "content": "_-"}]}', "standard base64"),
        ],
    )
    async def test_a_malformed_prompt_gets_the_error_frame_then_the_terminator(
        self, mesh: Mesh, client: Agents, body: bytes, words: str
    ) -> None:
        nexus = await mesh.agent(client, "nexus")
        inbox = mesh.nc.new_inbox()
        heard = await mesh.nc.subscribe(inbox)
        await mesh.nc.publish(nexus.prompt_subject, body, reply=inbox)
        frame, terminator = [await heard.next_msg(timeout=PATIENCE_S) for _ in range(2)]
        assert frame.headers["Nats-Service-Error-Code"] == "400"
        assert words in frame.headers["Nats-Service-Error"]
        assert (terminator.data, terminator.headers) == (b"", None)
        await heard.unsubscribe()

    async def test_plain_text_from_any_client_will_do(self, mesh: Mesh, client: Agents) -> None:
        nexus = await mesh.agent(client, "nexus")
        inbox = mesh.nc.new_inbox()
        heard = await mesh.nc.subscribe(inbox)
        await mesh.nc.publish(nexus.prompt_subject, TRACEBACK.encode(), reply=inbox)
        while (chunk := await heard.next_msg(timeout=PATIENCE_S)).data:
            assert chunk.headers is None
        await heard.unsubscribe()


class TestLiveness:
    async def test_the_clients_own_tracker_sees_it_alive(self, mesh: Mesh, client: Agents) -> None:
        await client.start_tracking()
        nexus = await mesh.agent(client, "nexus")

        async def beaten() -> Any:
            return client.liveness(nexus.instance_id)

        seen = await until(beaten)
        assert seen.is_online
        assert seen.interval_s == 1
        assert await client.ping(nexus.instance_id)

    async def test_its_status_is_a_heartbeat(self, mesh: Mesh, client: Agents) -> None:
        nexus = await mesh.agent(client, "nexus")
        status = await nexus.status()
        assert (status.agent, status.owner, status.instance_id) == ("nexus", "cerebro", nexus.instance_id)


class External:
    """An agent from elsewhere by the wire contract alone: it says that it lives, and does what the test makes of its assignments."""

    def __init__(self, mesh: Mesh, name: str, perform: Callable[["External", Assignment], Any]) -> None:
        self.bus = mesh.bus
        self.name = name
        self._perform = perform

    @asynccontextmanager
    async def living(self) -> AsyncIterator["External"]:
        heard = await self.bus.nc.subscribe(self.bus.wire(f"log.{subjects.TASK_ASSIGNED.subject(agent=self.name)}"), cb=self._on_assignment)
        beating = asyncio.create_task(self._beat())
        try:
            yield self
        finally:
            await end(beating)
            await heard.unsubscribe()
            await presence.goodbye(self.bus, self.name, "1")

    async def _beat(self) -> None:
        while True:
            await presence.beat(self.bus, self.name, "1", Profile(role="tester", skills=["echo"], takes=["tasks"]))
            await asyncio.sleep(0.5)

    async def _on_assignment(self, msg: Any) -> None:
        found = subjects.find(self.bus.plain(msg.subject).removeprefix("log."))
        assert found is not None
        await self._perform(self, msgspec.json.decode(msg.data, type=Assignment))

    async def say(self, row: Any, body: Any, task: str) -> None:
        await self.bus.publish(row, body, task=task, agent=self.name)


class TestExternalMembers:
    async def test_one_from_elsewhere_is_hosted_and_its_artifacts_stream(self, mesh: Mesh, client: Agents) -> None:
        async def perform(me: External, a: Assignment) -> None:
            ident = a.task.task_id
            await me.say(subjects.TASK_PROGRESS, Progress(fence=a.fence, message="thinking"), ident)
            for piece in ("one ", "two "):
                artifact = Artifact(artifact_id="a", parts=[{"text": piece}], append=True)
                await me.say(subjects.TASK_PROGRESS, Progress(fence=a.fence, artifact=artifact), ident)
            file = {"raw": "aGk=", "filename": "hi.txt"}
            await me.say(subjects.TASK_RESULT, Result(fence=a.fence, message={"parts": [{"text": "one two three"}, file]}), ident)

        async with External(mesh, "my_echo", perform).living():
            agent = await mesh.agent(client, "my-echo")
            reply = await Reply.to(agent, "count", attachments=[Attachment.from_bytes("in.txt", b"in")])
        assert reply.text == "one two three"
        assert "thinking" in reply.statuses
        assert [a.to_bytes() for a in reply.attachments] == [b"hi"]

    async def test_its_question_is_put_to_the_caller(self, mesh: Mesh, client: Agents) -> None:
        asked: list[Assignment] = []

        async def perform(me: External, a: Assignment) -> None:
            asked.append(a)
            await me.say(subjects.TASK_PROGRESS, Progress(fence=a.fence, state="input_required", message="Sure?"), a.task.task_id)

        async def answered(msg: Any) -> None:
            said = msgspec.json.decode(msg.data, type=InputAnswer).message
            a = asked[0]
            await asker.say(subjects.TASK_RESULT, Result(fence=a.fence, output=f"You said {said['parts'][0]['text']}."), a.task.task_id)

        asker = External(mesh, "asker", perform)
        heard = await mesh.bus.nc.subscribe(mesh.bus.wire(f"log.{subjects.TASK_INPUT.wildcard}"), cb=answered)
        async with asker.living():
            reply = await Reply.to(await mesh.agent(client, "asker"), "do it", answer="yes")
        await heard.unsubscribe()
        assert "asked Sure?" in reply.statuses
        assert reply.text == "You said yes."

    async def test_a_question_of_a_task_that_has_ended_is_waited_for_no_longer(self, mesh: Mesh, client: Agents) -> None:
        async def perform(me: External, a: Assignment) -> None:
            await me.say(subjects.TASK_PROGRESS, Progress(fence=a.fence, state="input_required", message="Sure?"), a.task.task_id)

        async def cancel_when_asked(agent: Agent) -> None:
            async for chunk in agent.prompt("do it"):
                if isinstance(chunk, Query):
                    await mesh.bus.publish(subjects.TASK_CANCEL, Cancel(reason="never mind"), task=chunk.id, agent="test")

        async with External(mesh, "waverer", perform).living():
            with pytest.raises(ProtocolError, match="service error 409: never mind"):
                await cancel_when_asked(await mesh.agent(client, "waverer"))

    async def test_a_failed_task_is_an_error_frame(self, mesh: Mesh, client: Agents) -> None:
        async def perform(me: External, a: Assignment) -> None:
            error = TaskError(code="out_of_paper", message="There is no paper.")
            await me.say(subjects.TASK_FAILED, Failure(fence=a.fence, error=error), a.task.task_id)

        async with External(mesh, "printer", perform).living():
            with pytest.raises(ProtocolError, match="service error 500: There is no paper"):
                await Reply.to(await mesh.agent(client, "printer"), "print")

    async def test_more_prompts_than_there_is_room_for_are_refused_and_the_callers_of_the_others_are_kept_awake(
        self, mesh: Mesh, client: Agents
    ) -> None:
        held: list[Assignment] = []
        both = asyncio.Event()

        async def perform(me: External, a: Assignment) -> None:
            held.append(a)
            if len(held) == 2:
                both.set()

        async with External(mesh, "slow", perform).living() as slow:
            agent = await mesh.agent(client, "slow")
            first = [asyncio.create_task(Reply.to(agent, f"prompt {n}")) for n in range(2)]
            async with asyncio.timeout(PATIENCE_S):
                await both.wait()
            with pytest.raises(ProtocolError, match="service error 429: 2 prompts are being worked on"):
                await Reply.to(agent, "one more")
            await asyncio.sleep(0.5)  # more than twice the pause between two signs of life
            for a in held:
                await slow.say(
                    subjects.TASK_RESULT, Result(fence=a.fence, output=a.task.input["message"]["parts"][0]["text"]), a.task.task_id
                )
            replies = await asyncio.gather(*first)
        assert sorted(r.text for r in replies) == ["prompt 0", "prompt 1"]
        assert all(r.statuses.count("ack") > 1 for r in replies)

    async def test_who_has_left_is_found_no_more(self, mesh: Mesh, client: Agents) -> None:
        async def perform(me: External, a: Assignment) -> None: ...

        async with External(mesh, "guest", perform).living():
            await mesh.agent(client, "guest")

        async def gone() -> bool:
            return all(a.agent != "guest" for a in await client.discover(timeout=0.3))

        await until(gone)


class TestHosted:
    """Agents hosted with the protocol's own package."""

    @asynccontextmanager
    async def hosted(self, mesh: Mesh, answer: Any, session: str = "w1", **options: Any) -> AsyncIterator[tuple[str, Client]]:
        """An agent with a connection of its own, which the test may cut; its name in the mesh."""
        nc = await connected(servers=mesh.bus.settings.nats_url)
        service = AgentService(
            agent="echo", owner="alice", session_name=session, nc=nc, description="Says it again", heartbeat_interval_s=1, **options
        )
        service.on_prompt(answer)
        await service.start()
        try:
            yield f"echo_alice_{session}", nc
        finally:
            if not nc.is_closed:
                await service.stop()
                await nc.close()

    async def test_it_becomes_a_member_that_takes_tasks_alone(self, mesh: Mesh) -> None:
        async def answer(envelope: Envelope, stream: PromptStream) -> None: ...

        async with self.hosted(mesh, answer, extra_metadata={"skills": "parrot, talk"}) as (name, _):
            member = await mesh.member(name)
            assert (member.role, member.takes) == (rules.ROLE, ["tasks"])
            assert member.skills == ["prompt", "echo", "parrot", "talk"]
        await mesh.gone(name)

    async def test_it_gets_a_task_by_its_skill_and_its_answer_is_the_result(self, mesh: Mesh) -> None:
        heard: list[Envelope] = []

        async def answer(envelope: Envelope, stream: PromptStream) -> None:
            heard.append(envelope)
            await stream.send("I say ")
            await stream.send(StatusChunk(status="warming up"))
            await stream.send(envelope.prompt)

        async with self.hosted(mesh, answer) as (name, _):
            await mesh.member(name)
            task = await mesh.task(await mesh.submit(required_skills=["echo"], input={"message": message("hello")}))
            plain = await mesh.task(await mesh.submit(required_skills=["echo"], input={"word": "hi"}))
        assert (task.status, task.assigned_to, task.result) == ("succeeded", name, {"text": "I say hello"})
        assert any(line.body.get("message") == "warming up" for line in task.history if line.entry == "progress")
        assert heard[0].extras["metadata"]["skill"] == "echo"
        assert '"word": "hi"' in plain.result["text"]

    async def test_what_it_refuses_is_the_failure(self, mesh: Mesh) -> None:
        async def answer(envelope: Envelope, stream: PromptStream) -> None:
            raise ProtocolError("I only speak French")

        async with self.hosted(mesh, answer, "w5", attachments_ok=False) as (name, _):
            await mesh.member(name)
            task = await mesh.task(await mesh.submit(agent=name))
            files = {"message": {"parts": [{"raw": "aGk=", "filename": "hi"}]}}
            laden = await mesh.task(await mesh.submit(agent=name, input=files))
        assert task.error is not None
        assert (task.status, task.error.code, task.error.message) == ("failed", "refused_400", "I only speak French")
        assert laden.error is not None
        assert laden.error.code == "attachments_not_supported"

    async def test_its_question_waits_for_an_answer_to_the_task(self, mesh: Mesh) -> None:
        async def answer(envelope: Envelope, stream: PromptStream) -> None:
            given = await stream.ask("Which colour?", timeout=PATIENCE_S)
            await stream.send(f"{given.prompt} it is")

        async with self.hosted(mesh, answer) as (name, _):
            await mesh.member(name)
            ident = await mesh.submit(agent=name)
            asks = await mesh.task(ident, lambda t: any(line.body.get("state") == "input_required" for line in t.history))
            assert any(line.body.get("message") == "Which colour?" for line in asks.history)
            await mesh.bus.publish(subjects.TASK_INPUT, InputAnswer(message="green"), task=ident, agent="test")
            assert (await mesh.task(ident)).result == {"text": "green it is"}

    async def test_tasks_beyond_what_it_does_at_a_time_wait_and_keep_their_lease(self, mesh: Mesh) -> None:
        go_on, prompted = asyncio.Event(), []

        async def answer(envelope: Envelope, stream: PromptStream) -> None:
            prompted.append(envelope)
            await go_on.wait()
            await stream.send("done")

        async with self.hosted(mesh, answer, "w7") as (name, _):
            await mesh.member(name)
            idents = [await mesh.submit(agent=name) for _ in range(3)]
            for ident in idents:  # each has shown a sign of life
                await mesh.task(ident, lambda t: t.status == "running")
            assert len(prompted) == 1
            go_on.set()
            tasks = [await mesh.task(ident) for ident in idents]
        assert [(t.status, t.fence) for t in tasks] == [("succeeded", 1)] * 3

    async def test_when_it_is_gone_its_task_goes_to_another_of_its_kind(self, mesh: Mesh) -> None:
        begun = asyncio.Event()

        async def never(envelope: Envelope, stream: PromptStream) -> None:
            begun.set()
            await asyncio.Event().wait()

        async def answer(envelope: Envelope, stream: PromptStream) -> None:
            await stream.send("here")

        async with self.hosted(mesh, never, "w1") as (name, nc):
            await mesh.member(name)
            ident = await mesh.submit(required_skills=["echo"])
            async with asyncio.timeout(PATIENCE_S):
                await begun.wait()
            async with self.hosted(mesh, answer, "w2") as (other, _):
                await mesh.member(other)
                await nc.close()  # as if its process had died
                await mesh.gone(name)
                task = await mesh.task(ident)
        assert (task.status, task.assigned_to, task.result) == ("succeeded", other, {"text": "here"})

    async def test_a_name_of_the_mesh_is_not_taken_by_it(self, mesh: Mesh, caplog: pytest.LogCaptureFixture) -> None:
        async def perform(me: External, a: Assignment) -> None: ...

        async def answer(envelope: Envelope, stream: PromptStream) -> None: ...

        async def told() -> bool:
            return "another agent is named echo_alice_w3" in caplog.text

        async with External(mesh, "echo_alice_w3", perform).living():
            await mesh.member("echo_alice_w3")
            async with self.hosted(mesh, answer, "w3"):
                await until(told)
                assert (await mesh.member("echo_alice_w3")).role == "tester"

    async def test_both_directions_can_be_refused_by_a_setting(self, mesh: Mesh, nats_url: str) -> None:
        async def answer(envelope: Envelope, stream: PromptStream) -> None: ...

        shut = BridgeSettings(members=False, prompts=False)
        async with meshed(nats_url, f"t{uuid7()[-10:]}", shut) as closed, self.hosted(mesh, answer, "w4") as (name, nc):
            await mesh.member(name)  # a mesh on the same server that is open has it
            assert name not in (await closed.bus.ask(subjects.ASK_AGENTS, AskAll())).agents
            agents = Agents(nc=nc)
            sessions = {a.session_name for a in await agents.discover(timeout=0.5)}
            assert mesh.bus.settings.prefix in sessions
            assert closed.bus.settings.prefix not in sessions
            await agents.close()


class TestWhoLendsTheirHands:
    async def test_when_the_first_agent_is_gone_the_next_one_hosts_and_brings_in(self, nats_url: str) -> None:
        async def perform(me: External, a: Assignment) -> None:
            await me.say(subjects.TASK_RESULT, Result(fence=a.fence, output="still here"), a.task.task_id)

        async def answer(envelope: Envelope, stream: PromptStream) -> None:
            await stream.send("me too")

        async with (
            meshed(nats_url, f"t{uuid7()[-10:]}", BridgeSettings(heartbeat_s=1)) as mesh,
            External(mesh, "ops", perform).living(),
            TestHosted().hosted(mesh, answer, "w6") as (name, _),
        ):
            await mesh.member(name)
            agents = Agents(nc=mesh.nc)
            before = await mesh.agent(agents, "ops")
            await end(mesh.agents["aria"])  # without a goodbye

            async def taken_over() -> bool:
                return (await mesh.agent(agents, "ops")).instance_id != before.instance_id

            await until(taken_over)
            assert (await Reply.to(await mesh.agent(agents, "ops"), "Are you there?")).text == "still here"
            assert (await mesh.task(await mesh.submit(agent=name))).result == {"text": "me too"}
            await agents.close()


class TestWhatAGuestMayNot:
    """We may publish where a guest may not, so it must not say where."""

    @asynccontextmanager
    async def registered(self, mesh: Mesh, subject: str, answer: Any) -> AsyncIterator[None]:
        names = {"agent": "mole", "owner": "eve", "protocol_version": "0.3"}
        service = await nats.micro.add_service(mesh.nc, name="agents", version="1.0.0", metadata=names)
        await service.add_endpoint(name="prompt", subject=subject, handler=answer, queue_group="agents")
        beat = {"agent": "mole", "owner": "eve", "session": "s", "instance_id": service.id, "ts": "2026-11-22T10:00:00Z", "interval_s": 1}
        await mesh.nc.publish("agents.hb.mole.eve.s", msgspec.json.encode(beat))
        try:
            yield
        finally:
            await service.stop()

    async def test_be_prompted_on_a_subject_of_the_mesh(self, mesh: Mesh, caplog: pytest.LogCaptureFixture) -> None:
        async def answer(request: Any) -> None: ...

        async def told() -> bool:
            return "it is prompted on mesh.task.x.cancel.nexus" in caplog.text

        async with self.registered(mesh, "mesh.task.x.cancel.nexus", answer):
            await until(told)

    async def test_ask_for_an_answer_on_a_subject_of_the_mesh(self, mesh: Mesh) -> None:
        async def answer(request: Any) -> None:
            query = {"id": "1", "reply_subject": "mesh.task.x.cancel.nexus", "prompt": "Well?"}
            await request.respond(msgspec.json.encode({"type": "query", "data": query}))

        async with self.registered(mesh, "agents.prompt.mole.eve.s", answer):
            await mesh.member("mole_eve_s")
            ident = await mesh.submit(agent="mole_eve_s")
            await mesh.task(ident, lambda t: any(line.body.get("state") == "input_required" for line in t.history))
            await mesh.bus.publish(subjects.TASK_INPUT, InputAnswer(message="Now?"), task=ident, agent="test")
            task = await mesh.task(ident)
        assert task.error is not None
        assert (task.status, task.error.code) == ("failed", "bad_chunk")

    async def test_make_a_failure_that_nobody_can_read(self, mesh: Mesh) -> None:
        async def answer(request: Any) -> None:
            body = msgspec.json.encode({"error": "e" * 1_000, "message": "m" * 10_000})
            await request.respond_error("400", "no", data=body)

        async with self.registered(mesh, "agents.prompt.mole.eve.s", answer):
            await mesh.member("mole_eve_s")
            task = await mesh.task(await mesh.submit(agent="mole_eve_s"))
        assert task.error is not None
        assert (task.status, task.error.code, task.error.message) == ("failed", "e" * 100, "m" * 2_000)

    @pytest.mark.parametrize("ident", ["x.y", "*", "a b", "x\r\nPUB mesh.x 0"])
    async def test_have_an_id_that_is_no_token(self, ident: str) -> None:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"agent": "a", "owner": "b", "instance_id": ident, "ts": "", "interval_s": 1}, Heartbeat)
